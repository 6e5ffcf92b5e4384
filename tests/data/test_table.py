import pytest

from pellucid.data.table import CaptionWriter, read_captions
from pellucid.errors import UsageError

ROWS = [
    ("a/LQ/1.png", 'a sign that reads: "open"', "noisy"),
    ("a/LQ/2, 3.png", "plain", "motion-blurry"),
]


def test_captions_survive_colons_quotes_and_commas(tmp_path):
    CaptionWriter(tmp_path / "c.csv").append(ROWS)
    assert read_captions(tmp_path / "c.csv") == ROWS


def test_the_table_is_the_official_one(tmp_path):
    CaptionWriter(tmp_path / "c.csv").append([ROWS[1]])
    expected = "filepath\ttitle\na/LQ/2, 3.png\tplain: motion-blurry\n"
    assert (tmp_path / "c.csv").read_bytes().decode() == expected


def test_line_breaks_in_a_caption_cannot_break_the_table(tmp_path):
    CaptionWriter(tmp_path / "c.csv").append([("1.png", "two\nlines\tand a tab ", "hazy")])
    assert read_captions(tmp_path / "c.csv") == [("1.png", "two lines and a tab", "hazy")]


def test_a_started_table_is_continued(tmp_path):
    CaptionWriter(tmp_path / "c.csv").append(ROWS[:1])
    writer = CaptionWriter(tmp_path / "c.csv")
    assert writer.done == {ROWS[0][0]}
    writer.append(ROWS[1:])
    assert read_captions(tmp_path / "c.csv") == ROWS


@pytest.mark.parametrize("left", ["filepath\tti", "filepath\ttitle\n1.png\ta: hazy\n2.png\ta ca"])
def test_a_line_cut_off_by_a_crash_is_removed(tmp_path, left):
    (tmp_path / "c.csv").write_text(left)
    writer = CaptionWriter(tmp_path / "c.csv")
    assert writer.done == ({"1.png"} if "hazy" in left else set())
    writer.append([("2.png", "a cat", "hazy")])
    assert read_captions(tmp_path / "c.csv")[-1] == ("2.png", "a cat", "hazy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,title\n", "first line"),
        ("filepath\ttitle\n1.png\tno separator\n", "line 2"),
        ("filepath\ttitle\n1.png\ta cat: \n", "line 2"),
        ("filepath\ttitle\n1.png\n", "line 2"),
    ],
)
def test_bad_tables_are_explained(tmp_path, text, message):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_captions(tmp_path / "c.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read_captions(tmp_path / "absent.csv")
