from itertools import pairwise

from evaluation_fakes import Text, prose, sentences

from palmetto.evaluation.cloze import cloze_items, split_last_word
from palmetto.evaluation.config import MadeTasksConfig
from palmetto.evaluation.continuation import continuation_items, cut_at_word
from palmetto.evaluation.copying import copying_items
from palmetto.evaluation.items import Budget, Item, Workbench, round_robin, shorten_from_the_front
from palmetto.evaluation.words import word_spans


def bench(*documents, question=120, target=50, **changes):
    return Workbench(MadeTasksConfig(**changes), Budget(question, target), len, tuple(documents))


def test_the_last_word_is_the_one_that_ends_a_sentence():
    passage = "The cat sat on the very old mat. And then the dog"
    assert split_last_word(passage + "\n") == ("The cat sat on the very old mat. And then the", " dog")
    assert split_last_word(passage) == ("The cat sat on the very old", " mat")


def test_a_passage_of_few_words_has_no_last_word_to_guess():
    assert split_last_word("one two three four") is None


def test_a_word_at_the_start_of_a_line_is_no_cloze_answer():
    assert split_last_word("a b c d e f g hh\nend\n") == ("a b c d e f g", " hh")


def test_the_last_word_of_a_spaceless_script_is_its_last_character():
    assert split_last_word("今天天气很好我们去公园。") == ("今天天气很好我们去公", "园")


def test_cloze_passages_of_one_document_do_not_overlap():
    text = sentences(1, 80)
    places = []
    for item in cloze_items(bench(Text("a", text)), 0):
        whole = item.question + item.target
        assert text.count(whole) == 1
        places.append((text.index(whole), text.index(whole) + len(whole)))
    places.sort()
    assert len(places) > 10
    assert all(end <= start for (_, end), (start, _) in pairwise(places))


def test_the_right_continuation_is_the_text_itself():
    text = sentences(2, 80)
    items = list(continuation_items(bench(Text("a", text)), 0))
    assert len(items) > 10
    assert all(item.question + item.target in text for item in items)


def test_wrong_continuations_come_from_elsewhere_in_the_same_document():
    documents = (Text("a", sentences(3, 80)), Text("b", sentences(4, 80)))
    for item in continuation_items(bench(*documents), 0):
        assert all(choice in documents[0].text for choice in item.choices)
        assert sum(item.question + choice in documents[0].text for choice in item.choices) == 1


def test_a_document_with_one_passage_takes_wrong_continuations_from_others():
    documents = (Text("a", sentences(5, 2)), Text("b", sentences(6, 40)))
    items = list(continuation_items(bench(*documents), 0))
    assert items
    assert all(sum(choice in documents[1].text for choice in item.choices) == 3 for item in items)


def test_choices_of_one_item_differ_and_have_about_one_length():
    for item in continuation_items(bench(Text("a", sentences(7, 80))), 0):
        lengths = [len(choice) for choice in item.choices]
        assert len(set(item.choices)) == 4
        assert min(lengths) >= 0.75 * max(lengths)


def test_right_answers_stand_at_every_place():
    items = continuation_items(bench(Text("a", sentences(8, 200))), 0)
    assert {item.label for item in items} == {0, 1, 2, 3}


def test_cutting_at_a_word_never_cuts_a_word():
    assert cut_at_word(" one two-three four", 12) == " one two"
    assert cut_at_word(" one", 12) == " one"


def test_a_copying_item_repeats_its_list_up_to_the_answer():
    for item in copying_items(bench(*prose(1)), 0):
        shown, repeated = item.question.split("\n")
        assert shown.startswith(repeated + item.target)
        assert all(choice.strip() in shown.split() for choice in item.choices)


def test_the_first_word_of_a_list_is_never_asked():
    assert all("\n" in item.question.strip() for item in copying_items(bench(*prose(1)), 0))


def test_items_keep_to_their_token_budget():
    desk = bench(*prose(3), question=70, target=25)
    for maker in (cloze_items, continuation_items):
        for item in maker(desk, 0):
            assert len(item.question) <= 70
            assert max(map(len, item.choices)) <= 25


def test_a_text_is_shortened_from_the_front_to_whole_words():
    assert shorten_from_the_front("alpha beta gamma delta", 13, len) == "gamma delta"


def test_another_seed_makes_other_items():
    one, two = (list(copying_items(bench(*prose(1), seed=seed), 0)) for seed in (0, 1))
    assert one != two


def test_documents_take_turns():
    items = [[Item(name, "q", ("t",), 0)] * count for name, count in (("a", 3), ("b", 1), ("c", 2))]
    assert [item.document for item in round_robin([iter(made) for made in items])] == list("abcaca")


def test_questions_never_end_in_white_space():
    desk = bench(*prose(2))
    for maker in (cloze_items, continuation_items, copying_items):
        assert all(
            item.question == item.question.rstrip() and word_spans(item.question) for item in maker(desk, 0)
        )
