"""A graph has a node for each stage and an edge for each read, whatever stands in them."""

import html
import re
from typing import Any

import pytest

import seqtools
from seqtools.instrument import graph
from seqtools.testing import Probe

Graph = tuple[dict[str, str], set[tuple[str, str, str]]]


def mermaid(text: str) -> Graph:
    """Return labels of nodes, and edges; fail at what is no Mermaid."""
    head, *lines = text.splitlines()
    assert head == "flowchart BT"
    nodes, edges = {}, set()
    for line in lines:
        edge = re.fullmatch(r'    (n\d+) -->(?:\|"([^"]*)"\|)? (n\d+)', line)
        if edge:
            edges.add((edge[1], edge[3], plain(edge[2] or "")))
            continue
        node = re.fullmatch(r'    (n\d+)(?:\["([^"]*)"\]|\(\["([^"]*)"\]\))', line)
        assert node, line
        nodes[node[1]] = plain(node[2] or node[3]).replace("<br>", "\n")
    return nodes, edges


def plain(label: str) -> str:
    """Return what Mermaid 11.17 shows of a label, or fail where it would show something else."""
    assert not set(label.replace("<br>", "")) & set('<>&`%\\"')
    assert not re.search("style|classDef", label)
    shown = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label)
    assert not re.search(r"\\n|\$\$|:fa-|&[\w#]", shown)  # what it would look at again
    return shown.replace("\u2060", "")


def dot(text: str) -> Graph:
    """Return labels of nodes, and edges; fail at what is no DOT."""
    quoted = r'"((?:[^"\\]|\\.)*)"'
    head, *lines, tail = text.splitlines()
    assert (head, tail) == ("digraph pipeline {", "}")
    nodes, edges = {}, set()
    for line in lines[2:]:
        edge = re.fullmatch(rf"    (n\d+) -> (n\d+)(?: \[label={quoted}\])?", line)
        if edge:
            edges.add((edge[1], edge[2], unquoted(edge[3] or "")))
            continue
        node = re.fullmatch(rf"    (n\d+) \[label={quoted}(, style=rounded)?\]", line)
        assert node, line
        nodes[node[1]] = unquoted(node[2])
    return nodes, edges


def unquoted(label: str) -> str:
    """Return what Graphviz shows of a label."""
    shown = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], label)
    return html.unescape(shown)


READERS = {"mermaid": mermaid, "dot": dot}


def read(sequence: seqtools.LazySequence[Any], language: str) -> Graph:
    return READERS[language](graph(sequence, language))


@pytest.mark.parametrize("language", READERS)
def test_a_stage_is_one_node_however_it_is_read(language: str) -> None:
    probe = Probe(range(5))
    loaded = seqtools.smap(abs, probe)
    pairs = seqtools.collate({"x": loaded, "y": seqtools.smap(str, loaded)})
    nodes, edges = read(seqtools.gather(pairs, [2, 1]), language)
    assert {number: label.split("\n")[0] for number, label in nodes.items()} == {
        "n0": "gather",
        "n1": "collate",
        "n2": "smap(abs)",
        "n3": "probe([0, 1, 2, 3, … 1 more])",
        "n4": "smap(str)",
        "n6": "[2, 1]",
    }
    assert edges == {
        ("n1", "n0", ""),
        ("n2", "n1", "x"),
        ("n3", "n2", ""),
        ("n4", "n1", "y"),
        ("n2", "n4", ""),
        ("n6", "n0", "indexes"),
    }
    assert re.fullmatch(r"smap\(abs\)\n5 items\n\S*test_graph\.py:\d+", nodes["n2"])
    assert probe.reads == []


@pytest.mark.parametrize("language", READERS)
@pytest.mark.parametrize(
    "name",
    [
        *('"]; evil', "<script>", "a\\", "a\\n", "a\\\\n", "#35;", "%%{init}%%", "`x`", "end"),
        *("&lt;", "&#35;", "a & b", "$$x^2$$", "fa:fa-ban", "style n0 fill:#f00", "classDef a:#b"),
    ],
)
def test_labels_are_escaped(language: str, name: str) -> None:
    def function(x: int) -> int:
        return x

    function.__name__ = name
    nodes, edges = read(seqtools.collate({name: seqtools.smap(function, [1, 2])}), language)
    assert nodes["n1"].startswith(f"smap({name})")
    pair = seqtools.collate({name: [1], "other": [2]})
    assert ("n1", "n0", name) in read(pair, language)[1]
    assert edges == {("n1", "n0", ""), ("n2", "n1", "")}


@pytest.mark.parametrize("language", READERS)
def test_the_reason_for_workers_is_not_cut(language: str) -> None:
    class Reasonable(seqtools.LazySequence[int]):
        def _size(self) -> int:
            return 1

        def _remark(self) -> str:
            return "chose 2 processes: " + "because " * 30

    [label] = read(Reasonable(), language)[0].values()
    assert label.count("because") == 30
    assert "…" not in label


@pytest.mark.filterwarnings("ignore:more than 100 stages are nested")
@pytest.mark.parametrize("language", READERS)
def test_a_graph_is_bounded(language: str) -> None:
    wide = seqtools.concatenate([[i] for i in range(1000)])
    nodes, edges = read(wide, language)
    assert (len(nodes), len(edges)) == (7, 6)
    assert list(nodes.values())[-1] == "… 995 more"
    deep: seqtools.LazySequence[Any] = seqtools.smap(abs, [1])
    for _ in range(2000):
        deep = seqtools.batch(deep, 1)
    assert len(read(deep, language)[0]) == 100


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(TypeError, match=r"graph\(\) needs a lazy sequence, got list"):
        graph([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format must be 'mermaid' or 'dot', got 'svg'"):
        graph(seqtools.arange(3), "svg")
