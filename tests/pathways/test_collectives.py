"""Collectives by mesh axis: devices of a mesh of 2 x 4 x 3 numbered by hand, bytes reckoned by hand."""

import pytest

from palmetto.pathways.collectives import Collective, collectives
from palmetto.pathways.hlo import Program

MESH = {"pod": 2, "data": 4, "model": 3}
"""Device p, d, m has number 12 p + 3 d + m."""


def program(*lines: str) -> Program:
    body = "\n".join(f"  {line}" for line in lines)
    text = f"""HloModule example

%add (x: f32[], y: f32[]) -> f32[] {{
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}}

%kept (input: f32[24,10]) -> f32[6,10] {{
  %input = f32[24,10] parameter(0)
  %all = f32[24,10] all-reduce(%input), replica_groups=[6,4]<=[2,4,3]T(0,2,1), to_apply=%add
  ROOT %cut = f32[6,10] dynamic-slice(%all, %at), dynamic_slice_sizes={{6,10}}
}}

%begin (p: bf16[4,5]) -> (bf16[4,5], bf16[12,5], u32[]) {{
  %p = bf16[4,5] parameter(0)
  %ag = bf16[12,5] all-gather(%p), channel_id=7, replica_groups=[8,3]<=[24], dimensions={{0}}, backend_config={{"async_collective_fusion_config":{{}}}}
  ROOT %go = (bf16[4,5], bf16[12,5], u32[]) custom-call(%ag), custom_call_target="AsyncCollectiveStart"
}}

%beside (p.1: bf16[4,5], q.1: f32[8,8]) -> (bf16[12,5], f32[8,8]) {{
  %p.1 = bf16[4,5] parameter(0)
  %q.1 = f32[8,8] parameter(1)
  %ag.1 = bf16[12,5] all-gather(%p.1), channel_id=7, replica_groups=[8,3]<=[24], dimensions={{0}}, backend_config={{"async_collective_fusion_config":{{}}}}
  ROOT %both = (bf16[12,5], f32[8,8]) tuple(%ag.1, %q.1)
}}

ENTRY %main (a: f32[24,10], b: bf16[4,5], c: f32[8,8]) -> f32[8,8] {{
  %a = f32[24,10] parameter(0)
  %b = bf16[4,5] parameter(1)
  %c = f32[8,8] parameter(2)
{body}
  ROOT %end = f32[8,8] copy(%c)
}}
"""  # noqa: E501
    return Program(text)


def only(*lines: str) -> Collective:
    (found,) = collectives(program(*lines), MESH)
    return found


@pytest.mark.parametrize(
    ("groups", "axes", "members"),
    [
        ("{{0,1,2},{3,4,5},{6,7,8},{9,10,11},{12,13,14},{15,16,17},{18,19,20},{21,22,23}}", ("model",), 3),
        ("[8,3]<=[24]", ("model",), 3),
        ("{{0,3,6,9},{1,4,7,10},{2,5,8,11},{12,15,18,21},{13,16,19,22},{14,17,20,23}}", ("data",), 4),
        ("[6,4]<=[2,4,3]T(0,2,1)", ("data",), 4),
        ("[12,2]<=[2,12]T(1,0)", ("pod",), 2),
        ("[2,12]<=[24]", ("data", "model"), 12),
        ("[3,8]<=[8,3]T(1,0)", ("pod", "data"), 8),
        ("mesh['axis_0'=2,'axis_1'=4,'axis_2'=3] {'axis_1'}", ("data",), 4),
        ("mesh['axis_0'=2,'axis_1'=4,'axis_2'=3] {'axis_0','axis_2'}", ("pod", "model"), 6),
        ("mesh['axis_0'=3,'axis_1'=8], device_ids=([8,3]T(1,0)) {'axis_1'}", ("pod", "data"), 8),
        ("{}", ("pod", "data", "model"), 24),
    ],
)
def test_groups_in_every_form_are_told_apart_by_axis(
    groups: str, axes: tuple[str, ...], members: int
) -> None:
    """An all-reduce of 24 x 10 float32 by a ring sends 2 (n-1)/n of its 960 bytes."""
    found = only(f"%r = f32[24,10] all-reduce(%a), replica_groups={groups}, to_apply=%add")
    assert (found.axes, found.kind, found.count, found.blocking) == (axes, "all-reduce", 1, True)
    assert (found.array_bytes, found.sent_bytes) == (960, 2 * 960 * (members - 1) // members)


def test_a_gather_sends_the_devices_part_to_each_other_one() -> None:
    found = only("%r = f32[72,10] all-gather(%a), replica_groups=[8,3]<=[24], dimensions={0}")
    assert (found.array_bytes, found.sent_bytes) == (3 * 960, 2 * 960)


def test_a_permutations_axes_are_those_of_all_its_pairs() -> None:
    ring = "{{0,1},{1,2},{2,0},{3,4},{4,5},{5,3}}"
    found = only(
        f"%s = (f32[24,10], f32[24,10], u32[]) collective-permute-start(%a), source_target_pairs={ring}",
        "%d = f32[24,10] collective-permute-done(%s)",
    )
    assert found == Collective(("model",), "collective-permute", False, 1, 960, 960, 0)
    across = only("%s = f32[24,10] collective-permute(%a), source_target_pairs={{0,1},{2,3}}")
    assert across.axes == ("data", "model")  # device 2 is the last of its row, 3 the first of the next


def test_an_operation_that_is_started_and_awaited_counts_once() -> None:
    found = only(
        "%s = (f32[24,10], f32[96,10]) all-gather-start(%a), replica_groups=[6,4]<=[2,4,3]T(0,2,1), dimensions={0}",
        "%d = f32[96,10] all-gather-done(%s)",
    )
    assert found == Collective(("data",), "all-gather", False, 1, 4 * 960, 3 * 960, 0)


def test_a_gather_spread_over_fusions_counts_where_it_starts() -> None:
    found = only(
        "%s = (bf16[4,5], bf16[12,5], u32[]) fusion(%b), kind=kCustom, calls=%begin",
        "%m = (bf16[12,5], f32[8,8]) fusion(%b, %c), kind=kOutput, calls=%beside",
    )
    assert found == Collective(("model",), "all-gather", False, 1, 120, 80, 0)


def test_a_reduction_of_which_a_share_is_kept_is_a_reduce_scatter() -> None:
    found = only("%r = f32[6,10] fusion(%a), kind=kCustom, calls=%kept")
    assert found == Collective(("data",), "reduce-scatter", True, 1, 960, 720, 0)


@pytest.mark.parametrize(("slices", "share"), [("1,2", 1.0), ("1,2,3,4", 1.5)])
def test_what_a_host_takes_between_pods_crosses_the_data_centre(slices: str, share: float) -> None:
    target = f'_xla_megascale_target="{{{slices}}}x{{0:11}}",_xla_megascale_transfer_type="ALL_REDUCE"'
    found = only(
        "%t = token[] after-all()",
        f"%s = (f32[24,10], u32[], token[]) send(%a, %t), channel_id=2, frontend_attributes={{{target}}}",
        "%d = token[] send-done(%s), channel_id=2",
    )
    assert found == Collective(("pod",), "all-reduce", False, 1, 960, int(960 * share), int(960 * share))


def test_over_pods_and_data_only_the_sum_of_each_pod_crosses() -> None:
    """Eight devices in two pods: a pod's sum is divided over its four, each of which sends a quarter."""
    found = only("%r = f32[24,10] all-reduce(%a), replica_groups=[3,8]<=[8,3]T(1,0), to_apply=%add")
    assert found.crossing_bytes == 960 // 4
    gathered = only("%r = f32[192,10] all-gather(%a), replica_groups=[3,8]<=[8,3]T(1,0), dimensions={0}")
    assert gathered.crossing_bytes == 960  # its own part, to the other pod


def test_of_a_permutation_the_pairs_in_different_pods_cross() -> None:
    found = only("%s = f32[24,10] collective-permute(%a), source_target_pairs={{0,12},{12,0},{1,2},{2,1}}")
    assert (found.axes, found.crossing_bytes) == (("pod", "model"), 480)


def test_a_group_of_one_sends_nothing() -> None:
    assert (
        collectives(
            program("%r = f32[24,10] all-reduce(%a), replica_groups=[24,1]<=[24], to_apply=%add"), MESH
        )
        == []
    )
