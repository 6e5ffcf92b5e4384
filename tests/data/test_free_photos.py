import importlib.util
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "scripts" / "fetch_free_photos.py"
spec = importlib.util.spec_from_file_location("fetch_free_photos", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site" / "owner" / "name" / "abc"
    folder.mkdir(parents=True)
    levels = np.full((60, 80, 3), (200, 100, 50), np.uint8)
    Image.fromarray(levels).save(folder / "a photo.png")
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_what_is_there_is_fetched_and_reduced_and_what_is_not_is_named(site, tmp_path, capsys):
    table, out = tmp_path / "table.tsv", tmp_path / "out"
    rows = ["file\tsource\tauthor\tlicence\twidth\theight"]
    rows += ["x.jpg\towner/name@abc:a photo.png\t\tCC0\t40\t30"]
    rows += ["y.jpg\towner/name@abc:none.png\t\tCC0\t40\t30"]
    table.write_text("\n".join(rows))
    arguments = ["--out", str(out), "--table", str(table), "--site", site]
    assert script.main(arguments) == 1
    said = capsys.readouterr()
    assert "1 of 2" in said.out and "none.png" in said.err
    assert [p.name for p in out.iterdir()] == ["x.png"]
    picture = Image.open(out / "x.png")
    assert picture.size == (40, 30) and picture.getpixel((20, 15)) == (200, 100, 50)


def test_the_table_names_distinct_sources_with_licence_and_size():
    rows = [line.split("\t") for line in script.TABLE.read_text().splitlines()]
    assert rows[0] == ["file", "source", "author", "licence", "width", "height"]
    assert len(rows) == 228 and len({row[0] for row in rows}) == 228
    assert all(row[3] and int(row[4]) > 0 and int(row[5]) > 0 for row in rows[1:])
    assert script.address(rows[1][1]).startswith("https://raw.githubusercontent.com/18F/")
