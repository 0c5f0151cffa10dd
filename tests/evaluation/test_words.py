from palmetto.evaluation.words import can_split_at, split_before, word_spans


def words(text):
    return [text[start:end] for start, end in word_spans(text)]


def test_words_of_prose_and_code_are_runs_of_letters_digits_and_underscores():
    assert words("x_1 = foo(bar), don't") == ["x_1", "foo", "bar", "don", "t"]


def test_combining_marks_belong_to_their_word():
    assert words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


def test_a_script_without_spaces_has_one_word_a_character():
    assert words("我爱你。hello世界") == ["我", "爱", "你", "hello", "世", "界"]


def test_thai_vowel_signs_stay_with_their_consonant():
    assert words("กี่ปี") == ["กี่", "ปี"]


def test_a_text_can_be_split_after_white_space_and_inside_spaceless_scripts_only():
    text = "foo.bar 世界"
    assert [can_split_at(text, start) for start, _ in word_spans(text)] == [False, False, True, True]


def test_white_space_at_a_split_goes_to_the_second_part():
    assert split_before("one \n two", 6) == ("one", " \n two")
