"""The JSON interface: answers agree with the search verb and with slow counting, errors say what to do."""

import asyncio
import threading
import time
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from serve.small import HOSTILE, SIDE, paint, png
from spaceform.search.exact import exact_search
from spaceform.search.filters import parse
from spaceform.serve.app import make_app
from spaceform.serve.slots import Slots
from spaceform.workflows.search import search

DEEP = "NOT (kind = 'a' AND NOT (year = 1 OR NOT (year = 2 AND NOT (year = 3))))"


class Client:
    """Asks the application in this process."""

    def __init__(self, app, **headers):
        self._app, self._headers = app, headers

    def request(self, method, path, **options):
        async def ask():
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:1", headers=self._headers
            ) as c:
                return await c.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path, **parameters):
        return self.request("GET", path, params=parameters)


@pytest.fixture(scope="module")
def client(served):
    return Client(make_app(served))


def refused(answer, status, name):
    error = answer.json()["error"]
    assert (answer.status_code, error["name"]) == (status, name), error
    assert set(error) == {"name", "got", "expected", "remedy", "message"}
    return error


def test_tells_what_can_be_asked(client, served):
    about = client.get("/api/space").json()
    assert (about["rows"], about["by_text"], about["by_picture"], about["pictures"]) == (40, "words", True, True)
    assert {c["name"]: c["kind"] for c in about["columns"]}["day"] == "date"
    assert {c["name"]: c["written"] for c in about["columns"]}["odd name"] == '"odd name"'
    assert "No text encoder" in about["advice"][0]
    assert client.get("/healthz").json() == {"status": "ok", "questions": 0}


@pytest.mark.parametrize("where", [None, "kind = 'cat'", "year between 2010 and 2030 and not kind = 'owl'"])
@pytest.mark.parametrize("query", ["r/7", "owl number"])
def test_finds_what_the_verb_finds(client, folder, query, where):
    answer = client.get("/api/search", text=query, k=5, **({"where": where} if where else {}))
    assert answer.status_code == 200, answer.text
    answer = answer.json()
    expected = search(folder, query, where=where, k=5)
    assert [row["id"] for row in answer["rows"]] == [row["id"] for row in expected.rows]
    assert answer["way"] == expected.way
    assert answer["plan"]["matches"] == answer["matches"]
    assert answer["plan"]["name"] in answer["plan"]["predicted_ms"]
    np.testing.assert_allclose(
        [row["closeness"] for row in answer["rows"]], [row["closeness"] for row in expected.rows], atol=1e-6
    )
    assert answer["timing"]["total_ms"] >= answer["timing"]["find_ms"] > 0


def test_ways_to_ask_agree(client, served):
    by_row = client.get("/api/search", row="r/7", k=4).json()["rows"]
    assert client.request("POST", "/api/search", json={"row": "r/7", "k": 4}).json()["rows"] == by_row
    assert "r/7" not in [row["id"] for row in by_row]
    vector = served.space.vectors[7].tolist()
    by_vector = client.request("POST", "/api/search", json={"vector": vector, "k": 5}).json()["rows"]
    assert [row["id"] for row in by_vector] == ["r/7", *(row["id"] for row in by_row)]
    files = {"picture": ("x.png", png(paint(55, 220)), "image/png")}
    by_picture = client.request("POST", "/api/search/picture", files=files, data={"k": 5}).json()
    assert by_picture["way"] == "picture"
    assert [row["id"] for row in by_picture["rows"]] == [row["id"] for row in by_vector]
    narrow = client.request("POST", "/api/search/picture", files=files, data={"where": "kind = 'dog'"}).json()
    assert {row["attributes"]["kind"] for row in narrow["rows"]} == {"dog"}


def test_without_a_question_rows_from_all_over(client):
    answer = client.get("/api/search", k=4, where="year >= 2010").json()
    assert [row["row"] for row in answer["rows"]] == [10, 19, 29, 39]
    assert (answer["way"], answer["plan"], answer["matches"]) == ("look", None, 30)
    assert answer["rows"][0]["closeness"] is None
    assert client.get("/api/search", where="year > 5000").json()["rows"] == []


def test_filters_on_ids_and_missing_values(client):
    assert client.get("/api/search", where="id = 'r/3'").json()["rows"][0]["attributes"]["weight"] is None
    found = client.get("/api/search", row="r/0", where="id in ('r/3', 'r/0')").json()
    assert [row["id"] for row in found["rows"]] == ["r/3"]


@pytest.mark.parametrize(
    "where",
    [
        None,
        "kind = 'cat'",
        "kind in ('cat', 'dog') and year >= 2010",
        "tags contains 'b'",
        "kind = 'cat' or year > 2030",
    ],
)
def test_facets_count_exactly_with_their_own_choice_set_aside(client, served, where):
    answer = client.get("/api/facets", **({"where": where} if where else {})).json()
    facets = {facet["name"]: facet for facet in answer["facets"]}
    own = {"kind", "tags"} if where and " or " not in where else set()
    others = [part["text"] for part in answer["parts"]]
    for name in ("kind", "tags"):
        rest = [part["text"] for part in answer["parts"] if part["facet"] != name] if own else others
        mask = parse(" AND ".join(rest)).mask(served.space.table) if rest else np.ones(40, bool)
        values = served.space.column(name)[mask]
        flat = [tag for tags in values if tags is not None for tag in tags] if name == "tags" else list(values)
        assert {v["value"]: v["count"] for v in facets[name]["values"] if v["count"]} == {
            value: flat.count(value) for value in set(flat)
        }
    assert answer["matches"] == (int(parse(where).mask(served.space.table).sum()) if where else 40)
    assert sum(facets["day"]["bars"]) == answer["matches"]


def test_facets_show_what_the_filter_chooses(client):
    where = "kind in ('cat', 'dog') and year between 2005 and 2020 and name ilike '%number 1%' and weight > 1"
    answer = client.get("/api/facets", where=where).json()
    facets = {facet["name"]: facet for facet in answer["facets"]}
    assert {v["value"] for v in facets["kind"]["values"] if v["chosen"]} == {"cat", "dog"}
    assert facets["year"]["chosen"] == [2005, 2020]
    assert (facets["name"]["shape"], facets["name"]["words"]) == ("words", "number 1")
    assert [part["facet"] for part in answer["parts"]] == ["kind", "year", "name", None]
    assert (facets["day"]["low"], facets["day"]["high"]) == ("2020-01-01", "2020-02-09")
    literal = next(v["literal"] for v in facets["kind"]["values"] if v["value"] == HOSTILE)
    assert client.get("/api/search", where=f"kind = {literal}").json()["matches"] == 10
    assert facets["odd name"]["values"][0]["literal"] == "TRUE"


def test_map_rows_and_pictures(client, served):
    answer = client.get("/api/map").json()
    assert (answer["ready"], answer["rows"], len(answer["x"])) == (True, list(range(40)), 40)
    assert answer["colours"][0]["column"] == "kind"
    bits = client.get("/api/facets", where="year < 2008").json()["map_bits"]
    assert bits == "/wAAAAA="
    assert client.get("/api/rows/7").json() == client.get("/api/rows", id="r/7").json()
    picture = client.get("/api/pictures/7")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content == served.space.picture(7)
    refused(client.get("/api/pictures/40"), 404, "row")
    refused(client.get("/api/rows/40"), 404, "row")
    refused(client.get("/api/rows", id="nobody"), 404, "id")


@pytest.mark.parametrize(
    ("parameters", "name", "words"),
    [
        ({"where": "kimd = 'cat'"}, "where", "did you mean 'kind'"),
        ({"where": "kind = "}, "where", "^"),
        (
            {"where": "(" * 8 + "NOT (kind = 'a' AND NOT (year = 1 OR NOT (year = 2 AND NOT (year = 3))))" + ")" * 8},
            "where",
            "levels",
        ),
        ({"where": "kind = 'a'" + " or kind = 'b'" * 400}, "where", "characters"),
        ({"text": "x" * 5000}, "text", "characters"),
        ({"text": "zebra"}, "query", "no row matches"),
        ({"row": "nobody"}, "row", "such as 'r/0'"),
        ({"row": "r/1", "text": "cat"}, "query", "one of"),
        ({"row": "r/1", "k": 31}, "k", "from 1 to 30"),
        ({"k": 0}, "k", "greater than or equal to 1"),
        ({"k": "many"}, "k", "integer"),
        ({"wher": "kind = 'cat'"}, "wher", "did you mean 'where'?"),
        ({"query": "cat"}, "query", "text, row, where, k"),
    ],
)
def test_mistakes_say_what_to_do(client, parameters, name, words):
    assert words in refused(client.get("/api/search", **parameters), 422, name)["message"]


@pytest.mark.parametrize(
    "body",
    [{"vector": [1.0]}, {"vector": [0.0] * (3 * SIDE * SIDE)}, {"vector": ["x"]}, {"nonsense": 1}, [], {"k": True}],
)
def test_bodies_that_are_none(client, body):
    assert client.request("POST", "/api/search", json=body).status_code == 422


def test_names_that_nobody_knows_are_refused_everywhere_with_the_nearest(client):
    def misspelt(answer, name, near):
        assert near in refused(answer, 422, name)["message"]

    misspelt(client.request("POST", "/api/search", json={"vektor": [1.0]}), "vektor", "did you mean 'vector'?")
    misspelt(client.request("POST", "/api/search", params={"k": 3}, json={}), "k", "no parameters")
    misspelt(client.get("/api/facets", were="year = 2000"), "were", "did you mean 'where'?")
    for path in ("/api/space", "/api/map", "/healthz", "/api/rows/1"):
        misspelt(client.get(path, x=1), "x", "no parameters")
    files = {"picture": ("x.png", png(paint(55, 220)), "image/png")}
    misspelt(client.request("POST", "/api/search/picture", files=files, data={"wear": "x"}), "wear", "'where'")
    assert client.get("/api/pictures/1", v="anything").status_code == 200


def test_pictures_that_are_none_too_many_bytes_and_pixels(client):
    def send(content):
        return client.request("POST", "/api/search/picture", files={"picture": ("x.png", content, "image/png")})

    refused(send(b"<svg onload='alert(1)'/>"), 422, "image")
    refused(send(png(np.zeros((101, 100, 3), np.uint8))), 422, "image")
    refused(send(b"x" * 70_000), 413, "body")


def test_foreign_names_origins_and_pages(client, served):
    refused(Client(make_app(served), host="evil.example").get("/api/space"), 421, "Host")
    assert Client(make_app(served, hosts=["box.lan"]), host="box.lan:80").get("/api/space").status_code == 200
    assert Client(make_app(served), host="[::1]:8").get("/healthz").status_code == 200
    refused(Client(make_app(served), origin="http://evil.example").get("/api/space"), 403, "Origin")
    assert Client(make_app(served), origin="http://127.0.0.1:1").get("/api/space").status_code == 200
    refused(client.get("/nothing"), 404, "request")
    refused(client.request("DELETE", "/api/search"), 405, "request")


def test_everything_but_health_wants_the_token(served):
    app = make_app(served, token="a-token-of-sixteen")
    for path in ("/", "/api/space", "/openapi.json", "/static/app.js"):
        assert refused(Client(app).get(path), 401, "token")["remedy"]
    refused(Client(app, authorization="Bearer wrong").get("/api/space"), 401, "token")
    refused(Client(app).get("/api/space", token="a-token-of-sixteen"), 401, "token")
    assert Client(app).get("/healthz").status_code == 200
    assert Client(app, authorization="Bearer a-token-of-sixteen").get("/api/space").status_code == 200
    login = Client(app).get("/", token="a-token-of-sixteen", q="cat")
    assert (login.status_code, login.headers["location"]) == (303, "/?q=cat")
    assert "HttpOnly; SameSite=Strict" in login.headers["set-cookie"]
    cookie = login.headers["set-cookie"].partition(";")[0]
    assert Client(app, cookie=cookie).get("/").status_code == 200


def test_the_page_may_load_from_nowhere_else(client):
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe" not in policy
    for path in ("/static/app.js", "/static/app.css"):
        assert "//" not in client.get(path).text.replace("// ", "")
    assert client.get("/api/space").headers["x-content-type-options"] == "nosniff"


def ask(slots, work, gone=lambda: False):
    async def is_gone():
        return gone()

    return slots.run(work, gone=is_gone)


def test_busy_slots_refuse_late_work_stops_and_queued_work_never_begins():
    slots, begun, stopped = Slots(workers=1, waiting=1, seconds=0.3), [], threading.Event()

    def long(check):
        begun.append("long")
        try:
            while True:
                time.sleep(0.6)  # longer than the limit: what waits behind it is late before it could begin
                check()
        finally:
            stopped.set()

    async def scene():
        first, second = (asyncio.create_task(ask(slots, work)) for work in (long, begun.append))
        await asyncio.sleep(0.05)
        third = await asyncio.gather(ask(slots, long), return_exceptions=True)
        rest = await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.sleep(0.6)
        return [type(one).__name__ for one in [*third, *rest]]

    assert asyncio.run(scene()) == ["BusyError", "LateError", "LateError"]
    assert (begun, stopped.is_set(), slots.held) == (["long"], True, 0)


def test_work_stops_when_the_asker_is_gone():
    slots, stopped, here = Slots(workers=1, waiting=0, seconds=60), threading.Event(), SimpleNamespace(gone=False)

    def long(check):
        try:
            while True:
                time.sleep(0.01)
                check()
        finally:
            stopped.set()

    async def scene():
        task = asyncio.create_task(ask(slots, long, gone=lambda: here.gone))
        await asyncio.sleep(0.05)
        here.gone = True
        (error,) = await asyncio.gather(task, return_exceptions=True)
        return type(error).__name__

    assert asyncio.run(scene()) == "GoneError"
    assert stopped.wait(2)


def test_busy_and_late_are_answers(served):
    app = make_app(served)
    state = app._app.state
    state.slots = Slots(workers=1, waiting=0, seconds=0.0)
    refused(Client(app).get("/api/search", row="r/1"), 504, "server")
    state.slots._bound = 0
    busy = Client(app).get("/api/search", row="r/1")
    refused(busy, 503, "server")
    assert busy.headers["retry-after"] == "1"


def test_the_ball_is_searched_without_an_index(tmp_path):
    from spaceform.serve.limits import Limits
    from spaceform.serve.served import Question, Served
    from spaceform.space import Space

    X = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 3))
    path = Space.create(X, attributes={"n": list(range(60))}, geometry="poincare").save(tmp_path / "ball")
    served = Served(path, limits=Limits())
    answer = served.search(Question(row="4", where="n < 30", k=5), lambda: None)
    mask = (np.arange(60) < 30) & (np.arange(60) != 4)
    expected = exact_search(X[4:5].astype(np.float32), X.astype(np.float32), k=5, metric="poincare", mask=mask)
    assert [row["row"] for row in answer["rows"]] == expected.rows[0].tolist()
    assert (answer["plan"]["name"], answer["matches"]) == ("all", 30)
    assert served.about()["by_text"] == "none"
