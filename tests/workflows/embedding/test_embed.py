"""Embedding of data sets: every row exactly once, whatever is killed, and what is refused."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spaceform.data.layouts.embedded import PARTS, read_embedded
from spaceform.errors import InputError, InterruptedRunError, MissingExtraError
from spaceform.space import Space
from spaceform.workflows.build import build
from spaceform.workflows.embed import embed
from spaceform.workflows.embedding import engines
from spaceform.workflows.embedding.job import Reading
from spaceform.workflows.embedding.scale import Scale
from workflows.embedding.encoders_for_tests import Letters, Once, Slow, Wrong

ITEMS = "workflows.embedding.encoders_for_tests:items"
TEXTS = [f"a{'ba' * (row % 7)} {row}" for row in range(60)]
IN_TENS = Reading(rows_per_unit=10)

embed_parts = partial(embed, space=False)


@pytest.fixture
def table(tmp_path):
    """Sixty texts in six row groups, ids against the order of the rows."""
    path = tmp_path / "texts.parquet"
    columns = {"id": [str(99 - row) for row in range(60)], "text": TEXTS, "year": list(range(60))}
    pq.write_table(pa.table(columns), path, row_group_size=10)
    return path


def content(folder):
    source = read_embedded(folder)
    return list(source.ids), source.vectors.tolist(), [list(map(str, column)) for column in source.attributes.values()]


def expected(ids=True):
    rows = sorted((99 - row, text) for row, text in enumerate(TEXTS))
    return [str(number) for number, _ in rows], [[len(text), text.count("a"), 1] for _, text in rows]


def quarantine(folder):
    return [json.loads(line) for line in (folder / "quarantine.jsonl").read_text().splitlines()]


def test_every_row_once_in_the_order_of_the_ids(table, tmp_path):
    result = embed_parts(table, tmp_path / "out", Letters(), batch_size=4)
    ids, vectors, (texts, years) = content(tmp_path / "out")
    assert (ids, vectors) == expected()
    assert (texts, years) == (TEXTS[::-1], [str(year) for year in range(60)][::-1])
    assert (result.rows, result.dim, result.dtype, result.units, result.done) == (60, 3, "float32", 6, 6)
    assert result.quarantined == 0
    assert len(list((tmp_path / "out" / PARTS).iterdir())) == 6
    again = embed_parts(table, tmp_path / "out", Letters(), batch_size=4)
    assert (again.rows, again.done) == (60, 0)


def test_two_runs_write_the_same_bytes(table, tmp_path):
    for name in "ab":
        embed_parts(table, tmp_path / name, Letters())
    for part in (tmp_path / "a" / PARTS).iterdir():
        assert part.read_bytes() == (tmp_path / "b" / PARTS / part.name).read_bytes()


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_files_without_row_groups_give_what_parquet_gives(table, tmp_path, ending):
    frame = pq.read_table(table).to_pandas()
    frame.loc[7, "text"] = TEXTS[7] = 'say "a",\n\tthen b'
    path = tmp_path / f"texts.{ending}"
    if ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    result = embed_parts(path, tmp_path / "out", Letters(), reading=IN_TENS)
    assert (result.units, result.rows) == (6, 60)
    assert content(tmp_path / "out")[:2] == expected()
    assert pa.types.is_integer(read_embedded(tmp_path / "out").attributes["year"].type)


def test_rows_that_can_not_be_used_are_named_with_the_reason(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_bytes(
        b"id,text,year\n1,fine,1990\n2,,1991\n3,odd,1992\n4,x,soon\n5,too,many,1\n6,caf\xe9,1993\n,y,1\n8,last,3\n"
    )
    result = embed_parts(path, tmp_path / "out", Letters(), reading=Reading(rows_per_unit=3))
    assert (result.rows, result.quarantined) == (2, 6)
    assert read_embedded(tmp_path / "out").ids == ["1", "8"]
    reasons = {one["row"]: one["reason"] for one in quarantine(tmp_path / "out")}
    assert reasons[1] == "no text"
    assert reasons[2] == "the encoder gave NaN or an infinity"
    assert reasons[3] == "column 'year': 'soon' is no int64"
    assert "4 fields" in reasons[4]
    assert "UTF-8" in reasons[5]
    assert "no id" in reasons[6]


def test_vectors_with_nan_and_of_other_widths_go_to_the_quarantine(tmp_path):
    rows = [[1.0, 2.0], [np.nan, 1.0], None, [1.0], [3.0, None], [3.0, 4.0]]
    pq.write_table(pa.table({"v": rows, "blob": [b"x"] * 6}), tmp_path / "v.parquet")
    result = embed_parts(tmp_path / "v.parquet", tmp_path / "out", ITEMS)
    assert (result.rows, result.left_out) == (2, ("blob",))
    assert [one["row"] for one in quarantine(tmp_path / "out")] == [1, 2, 3, 4]
    np.testing.assert_allclose(read_embedded(tmp_path / "out").vectors, [[1.5, 0.5], [3.5, 0.5]])


def test_empty_and_damaged_files_stand_beside_good_ones(table, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    good = pq.read_table(table)
    pq.write_table(good, folder / "good.parquet", row_group_size=30)
    pq.write_table(good.slice(0, 0), folder / "empty.parquet")
    (folder / "nothing.parquet").touch()
    whole = (folder / "good.parquet").read_bytes()
    (folder / "torn.parquet").write_bytes(whole[: len(whole) // 2])
    result = embed_parts(folder, tmp_path / "out", Letters())
    assert (result.rows, result.units) == (60, 2)
    assert {one["file"] for one in quarantine(tmp_path / "out")} == {"nothing.parquet", "torn.parquet"}
    with pytest.raises(InputError, match="no rows"):
        embed_parts(folder / "empty.parquet", tmp_path / "none", Letters())
    assert not (tmp_path / "none").exists()


HOSTILE = ["a b'\"$(x);.csv", "[1]*?.csv", "-rf.csv", "ümlaut\n.csv", b"\xff.csv".decode(errors="surrogateescape")]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names(tmp_path, name):
    path = tmp_path / name
    path.write_text("text\nabc\nd\n")
    embed_parts(path, tmp_path / "o ut", Letters())
    ids = read_embedded(tmp_path / "o ut").ids
    assert [one.rpartition("#")[2] for one in ids] == ["0000000000", "0000000001"]
    assert all(one.isprintable() for one in ids)


def test_a_pattern_takes_several_files_and_rows_get_ids_of_file_and_number(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name}1\n\n{name}2\n")
    (tmp_path / "c.md").write_text("not this")
    embed_parts(f"{tmp_path}/*.txt", tmp_path / "out", Letters())
    assert read_embedded(tmp_path / "out").ids == [f"{name}.txt#{row:010d}" for name in "ab" for row in (0, 1)]


def test_an_encoder_that_raises_stops_the_run_and_the_next_one_goes_on(table, tmp_path):
    encoder = Once(tmp_path / "flag", TEXTS[35])
    with pytest.raises(InputError, match=r"RuntimeError: boom \(in texts.parquet, rows 30 to 39\)"):
        embed_parts(table, tmp_path / "out", encoder)
    with pytest.raises(InputError, match="not finished"):
        read_embedded(tmp_path / "out")
    result = embed_parts(table, tmp_path / "out", encoder)
    assert (result.units, result.done, result.rows) == (6, 3, 60)
    assert content(tmp_path / "out")[:2] == expected()


@pytest.mark.slow
def test_a_killed_worker_is_replaced(table, tmp_path):
    encoder = Once(tmp_path / "flag", TEXTS[35], kill=True)
    result = embed_parts(table, tmp_path / "out", encoder, scale=Scale(workers=2))
    assert (tmp_path / "flag").exists()
    assert result.rows == 60
    assert content(tmp_path / "out")[:2] == expected()


@pytest.mark.slow
def test_a_run_killed_at_any_moment_loses_and_repeats_nothing(tmp_path):
    path, out = tmp_path / "texts.txt", tmp_path / "out"
    path.write_text("".join(f"text {row}\n" for row in range(200)))
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        f"from workflows.embedding.encoders_for_tests import slow_job\nslow_job({str(path)!r}, {str(out)!r})"
    )
    generator = np.random.default_rng(0)
    counts = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        begun = len(list(out.glob(f"{PARTS}/part-*")))
        while process.poll() is None and len(list(out.glob(f"{PARTS}/part-*"))) < begun + 1:
            time.sleep(0.005)
        time.sleep(float(generator.uniform(0, 0.08)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(len(list(out.glob(f"{PARTS}/part-*"))))
    result = embed_parts(path, out, Slow(), batch_size=4, reading=Reading(rows_per_unit=8))
    assert counts == sorted(counts)
    assert result.done == 25 - counts[-1] < 25
    source = read_embedded(out)
    assert list(source.attributes["text"].to_pylist()) == [f"text {row}" for row in range(200)]
    assert not list(out.rglob("*.partial-*"))


def test_a_damaged_part_is_made_again(table, tmp_path):
    embed_parts(table, tmp_path / "out", Letters())
    part = tmp_path / "out" / PARTS / "part-000002.parquet"
    part.write_bytes(part.read_bytes()[:100])
    assert embed_parts(table, tmp_path / "out", Letters()).done == 1
    assert content(tmp_path / "out")[:2] == expected()


def test_what_was_made_otherwise_is_not_mixed(table, tmp_path):
    out = tmp_path / "out"
    embed_parts(table, out, Letters())
    other = Letters()
    other.fingerprint = "others"
    with pytest.raises(InterruptedRunError, match="the encoder changed"):
        embed_parts(table, out, other)
    with pytest.raises(InterruptedRunError, match="how the source is read"):
        embed_parts(table, out, Letters(), reading=Reading(ids="year"))
    pq.write_table(pq.read_table(table).slice(0, 20), table)
    with pytest.raises(InterruptedRunError, match="the files"):
        embed_parts(table, out, Letters())
    assert embed_parts(table, out, Letters(), resume=False).rows == 20
    assert len(read_embedded(out)) == 20


def test_two_processes_do_not_work_in_one_folder(table, tmp_path):
    from spaceform.workflows.embedding.driving import sole_driver

    (tmp_path / "out").mkdir()
    with sole_driver(tmp_path / "out"), pytest.raises(InputError, match="another process"):
        embed_parts(table, tmp_path / "out", Letters())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda out: {"id": out["id"]}, "'embedding'"),
        (lambda out: {"id": out["id"], "embedding": out["embedding"].astype(float)}, "float64"),
        (lambda out: {"id": out["id"][:-1], "embedding": out["embedding"][:-1]}, "for 10 rows"),
        (lambda out: {"id": ["7"] * 10, "embedding": out["embedding"]}, "other ids"),
        (lambda out: {"id": out["id"], "embedding": out["embedding"][:, : 2 + ("99" in out["id"])]}, "one width"),
    ],
    ids=["no vectors", "float64", "a row less", "other ids", "other width"],
)
def test_answers_of_encoders_are_checked(table, tmp_path, answer, message):
    with pytest.raises(InputError, match=message):
        embed_parts(table, tmp_path / "out", Wrong(answer))


def test_half_precision_is_kept_in_the_parts(table, tmp_path):
    half = Wrong(lambda out: {"id": out["id"], "embedding": out["embedding"].astype(np.float16)})
    assert embed_parts(table, tmp_path / "out", half).dtype == "float16"
    assert content(tmp_path / "out")[:2] == expected()


def test_an_id_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n1,a\n2,b\n1,c\n")
    with pytest.raises(InputError, match="'1' in more than one row"):
        embed_parts(tmp_path / "t.csv", tmp_path / "out", Letters(), reading=Reading(rows_per_unit=1))


def test_what_can_not_be_read_is_refused(table, tmp_path):
    for source, reading, argument in [
        (tmp_path / "no.csv", Reading(), "source"),
        (f"{tmp_path}/*.none", Reading(), "source"),
        (table, Reading(text_column="none"), "text_column"),
        (table, Reading(text_column="year"), "text_column"),
        (table, Reading(text_column="text", vector_column="text"), "text_column"),
        (table, Reading(ids="none"), "ids"),
        (table, Reading(rows_per_unit=0), "rows_per_unit"),
    ]:
        with pytest.raises(InputError) as caught:
            embed_parts(source, tmp_path / "out", Letters(), reading=reading)
        assert caught.value.argument == argument


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_an_engine_that_is_not_installed_names_the_pip_line(table, tmp_path, monkeypatch, engine):
    def missing(module, extra):
        raise MissingExtraError(module, extra)

    monkeypatch.setattr(engines, "require", missing)
    with pytest.raises(MissingExtraError, match=rf"pip install 'spaceform\[{engine}\]'"):
        embed_parts(table, tmp_path / "out", Letters(), scale=Scale(engine=engine))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("engine", "module", "kill"), [("dask", "distributed", True), ("ray", "ray.data", False)])
def test_clusters_give_what_this_process_gives_and_dask_replaces_a_killed_worker(table, tmp_path, engine, module, kill):
    pytest.importorskip(module)
    encoder = Once(tmp_path / "flag", TEXTS[35], kill=True) if kill else Letters()
    result = embed_parts(table, tmp_path / engine, encoder, scale=Scale(engine=engine, workers=2))
    embed_parts(table, tmp_path / "local", encoder)
    assert (tmp_path / "flag").exists() == kill
    assert result.rows == 60
    assert content(tmp_path / engine) == content(tmp_path / "local")
    for part in (tmp_path / "local" / PARTS).iterdir():
        assert part.read_bytes() == (tmp_path / engine / PARTS / part.name).read_bytes()


def test_a_folder_of_pictures_becomes_a_space_and_can_be_built_from(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / "p" / kind).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (9, 7), (40 * i, 90, 20)).save(tmp_path / "p" / kind / f"{i}.png")
    (tmp_path / "p" / "dog" / "bad.png").write_bytes(b"\x89PNG")
    result = embed(tmp_path / "p", tmp_path / "out", "pixels", reading=Reading(size=8, rows_per_unit=4))
    assert (result.rows, result.units, result.quarantined) == (6, 2, 1)
    space = Space.open(tmp_path / "out")
    assert (space.label, space.dim, len(space)) == ("class", 192, 6)
    assert quarantine(tmp_path / "out")[0]["id"] == "dog/bad.png"
    build(tmp_path / "out", tmp_path / "other")
    np.testing.assert_array_equal(Space.open(tmp_path / "other").vectors, space.vectors)


def test_a_saved_encoder_embeds_what_it_was_trained_on_and_goes_with_the_space(tmp_path):
    from spaceform.methods.metric_learning.facenet import FaceNet
    from spaceform.workflows.encoders import open_encoder

    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(24, 5)).astype(np.float32), np.arange(24) % 3
    encoder = FaceNet(embedding_dim=4, net="mlp", steps=1, random_state=0).fit(X, y)
    encoder.save(tmp_path / "encoder")
    pq.write_table(pa.table({"x": X.tolist(), "label": y}), tmp_path / "x.parquet", row_group_size=9)
    embed(tmp_path / "x.parquet", tmp_path / "out", str(tmp_path / "encoder"), batch_size=24)
    space = Space.open(tmp_path / "out")
    np.testing.assert_allclose(space.vectors, encoder.encode(X), atol=1e-6)
    assert (space.geometry, space.label) == ("sphere", "label")
    assert open_encoder(tmp_path / "out").fingerprint == encoder.fingerprint == space.encoder["fingerprint"]


def test_an_encoder_by_address_and_parts_without_a_space(table, tmp_path):
    assert embed(table, tmp_path / "out", ITEMS, space=False).dim == 2
    assert not (tmp_path / "out" / "space.json").exists()
    assert len(read_embedded(tmp_path / "out", label="year")) == 60
