"""A tenant's vectors in Qdrant (its own engine, behind the models of its own client; vector_server.py), searched there and read there as
whoever runs it could: numbers and vectors, no words. Documents that go take their points with them; another tenant's points are given
to nobody, whatever the server answers; a server that is silent, gone, emptied or without the collection is told apart from one that
finds nothing; a tenant that is destroyed leaves no collection."""
import contextlib, http.client, http.server, json, os, pathlib, re, signal, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request, warnings

import qdrant_client
from qdrant_client.http.exceptions import UnexpectedResponse

import dense
import embedding_server
from house import REPOSITORY, house
from key_service import free_port, until
from minilm import model_folder

TENANT, NEIGHBOUR, REGION, KEY, TIMEOUT_MS = "default", "beta-inc", "eu-west-1", "hidden", 400
NAMESPACE = {TENANT: "tenant-default", NEIGHBOUR: "tenant-beta"}
CITIES = ["Aachen", "Bergen", "Cadiz", "Dublin", "Exeter", "Fulda", "Genoa", "Hull"]
MATTERS = {
    "leave": "Every person employed there has thirty days off work in a year, paid.",
    "car": "The vehicle of the house is an old automobile, painted red.",
    "bird": "Herons and egrets stand in the reeds and wait for fish.",
    "money": "The cash of the house is kept in a vault of steel.",
    "doctor": "A physician visits the wards every morning.",
}
SECRET = "The neighbour keeps its automobile under the bridge."


@contextlib.contextmanager
def engine(port: int, folder: pathlib.Path):
    script = REPOSITORY / "tests" / "outside" / "vector_server.py"
    process = subprocess.Popen([sys.executable, str(script), str(port), str(folder), KEY])
    client = qdrant_client.QdrantClient(url=f"http://127.0.0.1:{port}", api_key=KEY, check_compatibility=False, prefer_grpc=False)

    def is_there():
        with contextlib.suppress(Exception):
            return not client.collection_exists("nothing")
        return False

    try:
        until("the engine listens", is_there)
        yield process, client
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=30)


class Between(http.server.ThreadingHTTPServer):
    """Passes requests on, remembers them, and answers searches otherwise where it is told to."""

    def __init__(self, upstream: int):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.requests, self.instead, self.searches_in = upstream, [], None, {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, *_):
        pass  # the engine is gone, or whoever asked has waited long enough


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        server, body = self.server, self.rfile.read(int(self.headers.get("content-length", 0)))
        server.requests.append((self.command, self.path, self.headers.get("api-key"), body))
        path, is_search = self.path, "/points/query" in self.path
        for own, other in server.searches_in.items():
            path = path.replace(f"/{own}/", f"/{other}/") if is_search else path
        if is_search and server.instead is not None:
            status, answer = 200, json.dumps({"result": [{"points": server.instead}], "status": "ok", "time": 0}).encode()
        else:
            upstream = http.client.HTTPConnection("127.0.0.1", server.upstream, timeout=60)
            headers = {"api-key": self.headers.get("api-key", ""), "content-type": "application/json"}
            upstream.request(self.command, path, body or None, headers)
            found = upstream.getresponse()
            status, answer = found.status, found.read()
            assert status != 400, (self.command, self.path, answer)  # its models refused a request of ours
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = handle_one

    def log_message(self, *_):
        pass


def config(embeddings: int, port: int) -> str:
    stores = "".join(f"""
[[vector_stores]]
namespace = "{namespace}"
tenant = "{tenant}"
url = "http://127.0.0.1:{port}"
region = "{REGION}"
api_key_env = "QDRANT_API_KEY"
timeout_ms = {TIMEOUT_MS}
""" for tenant, namespace in NAMESPACE.items())
    return stores + dense.config(f"http://127.0.0.1:{embeddings}/v1")


def prepare(folder: pathlib.Path):
    for tenant, namespace in NAMESPACE.items():
        record = folder / "tenants" / tenant / "tenant.yaml"
        record.write_text(record.read_text() + f'\nstorage:\n  index_namespace: "qdrant::{namespace}"\n')
        lists = folder / "tenants" / tenant / "data-sovereignty.yaml"
        if f"- {REGION}" not in lists.read_text():
            lists.write_text(lists.read_text().replace("  allowed_regions:\n", f"  allowed_regions:\n    - {REGION}\n", 1))


def documents():
    return [{"id": f"{matter}-{city}", "title": f"{city}, {matter}", "text": f"Of the house in {city}. {text}"} for city in CITIES for matter, text in MATTERS.items()]


class Tenant:
    def __init__(self, served, name: str):
        self.served, self.name, self.key = served, name, served.key(name)

    def post(self, path: str, body):
        return self.served.call("POST", path, body, key=self.key)

    def standing(self):
        return dense.standing(self.served, self.name) or {}

    def outside(self):
        return self.standing().get("outside") or {}

    def search(self, query: str):
        began = time.monotonic()
        hits = self.post("/v1/search", {"query": query})["hits"]
        return [hit["document_id"] for hit in hits], time.monotonic() - began

    def filled(self, points: int):
        def holds():
            self.search("anything")  # a tenant nobody asks sleeps
            now = self.standing()
            outside = now.get("outside") or {}
            return now.get("in_force") and now["pending"] == 0 and outside["points"] == points and outside["waiting"] == outside["owed"] == 0
        return until(f"{points} points of {self.name} are there", holds, 180)


def counts(served) -> dict:
    request = urllib.request.Request(served.url + "/metrics", headers={"authorization": f"Bearer {served.operator_key}"})
    text = urllib.request.urlopen(request, timeout=30).read().decode()
    return {name: int(count) for name, count in re.findall(r'(?m)^bailiwick_vector_store_total\{[^}]*outcome="(\w+)"[^}]*\} (\d+)', text)}


def points(client, tenant: str):
    """Everything in a collection; nothing while it is made anew."""
    try:
        return client.scroll(NAMESPACE[tenant], limit=10_000, with_payload=True, with_vectors=True)[0]
    except UnexpectedResponse as refused:
        assert refused.status_code == 404, refused
        return []


def main():
    os.environ["QDRANT_API_KEY"] = KEY
    warnings.simplefilter("ignore")  # its client warns of a key that goes to this machine in the clear
    texts = embedding_server.Cached(embedding_server.Texts(model_folder()), None)
    embeddings = embedding_server.serve(texts).server_address[1]
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        folder = pathlib.Path(folder)
        between = Between(port)
        engines = running.enter_context(contextlib.ExitStack())
        process, client = engines.enter_context(engine(port, folder))
        with house(config(embeddings, between.port), prepare) as served:
            follow(served, between, process, client, engines, port, folder)
        between.shutdown()


def follow(served, between, process, client, engines, port, folder):
    one, two = Tenant(served, TENANT), Tenant(served, NEIGHBOUR)
    for tenant in (one, two):
        dense.want(served, tenant.name, 1, untested=True)
    one.post("/v1/documents", {"documents": documents()})
    two.post("/v1/documents", {"documents": [{"id": "bridge", "title": "Bridge", "text": SECRET}]})
    everything = len(documents())
    took = one.filled(everything)
    two.filled(1)
    there = points(client, TENANT)
    assert len(there) == everything and all(not point.payload and len(point.vector) == 384 for point in there), there[:1]
    assert all(key == KEY for _, _, key, _ in between.requests)
    sent = b" ".join(body for _, _, _, body in between.requests)
    for word in (b"Aachen", b"automobile", b"bridge", b"default", b"beta"):
        assert word not in sent, word
    print(f"{everything} points brought within {took:.1f} s: numbers and vectors, no payload, no word of a document or a tenant in {len(sent)} bytes sent")

    before = counts(served)["found"]
    found, _ = one.search("motor transport")
    assert found and all(id.startswith("car-") for id in found[:4]), found
    assert counts(served)["found"] == before + 1
    print(f"searched there: 'motor transport', no word of which stands anywhere, finds {found[0]} first")

    gone = "car-Hull"
    numbers = {point.id for point in there}
    served.call("DELETE", f"/v1/documents/{gone}", key=one.key)
    one.filled(everything - 1)
    left = {point.id for point in points(client, TENANT)}
    assert len(numbers - left) == 1 and left < numbers
    print(f"a document removed: point {next(iter(numbers - left))} is gone from the collection")

    between.searches_in = {NAMESPACE[TENANT]: NAMESPACE[NEIGHBOUR]}
    for _ in range(3):
        found, _ = one.search("automobile")
        assert "bridge" not in found and found, found
        time.sleep(1.1)
    between.searches_in = {}
    refused = counts(served).get("refused", 0)
    strange = max(numbers) + 1
    for instead in ([{"id": strange, "version": 0, "score": 0.9}], [{"id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c26", "version": 0, "score": 0.9}],
                    [{"id": min(left), "version": 0, "score": 7.0}], [{"id": min(left), "version": 0, "score": 0.9}] * 2):
        between.instead = instead
        found, _ = one.search("automobile")
        assert found and found[0].startswith("car-"), found
        time.sleep(1.1)
    between.instead = None
    assert counts(served)["refused"] == refused + 4, counts(served)
    print("a server that answers with a neighbour's points, unknown ones, a nearness of 7 or one point twice: none taken, by words meanwhile")

    one.filled(everything - 1)
    process.send_signal(signal.SIGSTOP)
    took = [one.search(f"automobile {number}")[1] for number in range(20)]
    process.send_signal(signal.SIGCONT)
    # one that waits for the store, a second in which nobody asks, and so on
    waited = sum(took_one >= TIMEOUT_MS / 1000 for took_one in took)
    assert waited <= 1 + sum(took) / 1.0 and max(took) < TIMEOUT_MS / 1000 + 2, took
    print(f"while it is silent: 20 searches answered by words, {waited} waited for it, the slowest {max(took) * 1000:.0f} ms")

    engines.close()  # stopped: nothing listens
    found, took = one.search("automobile")
    assert found and took < TIMEOUT_MS / 1000 + 2, (found, took)
    one.post("/v1/documents", {"documents": [{"id": "late", "title": "Late", "text": "A physician who came later."}]})
    served.call("DELETE", "/v1/documents/car-Genoa", key=one.key)
    until("it is owed", lambda: one.outside().get("owed") == 1 and one.outside().get("trouble"))
    print(f"while it is gone: found by words in {took * 1000:.0f} ms, documents come and go as before; owed: {one.outside()['owed']}")
    asked = one.post("/v1/erasures", {"document": "car-Fulda", "basis": "a letter"})
    until("its document is gone", lambda: one.outside().get("owed") == 2)
    state = served.call("GET", f"/v1/erasures/{asked['id']}", key=one.key)
    assert state["state"] == "open" and "vector store" in state["waits_for"], state
    print(f"an erasure meanwhile stays open: {state['waits_for']}")
    process, client = engines.enter_context(engine(port, folder))
    took = until("the erasure is done", lambda: served.call("GET", f"/v1/erasures/{asked['id']}", key=one.key)["state"] == "done", 90)
    everything -= 2  # without car-Hull, car-Genoa and car-Fulda, with what came later
    one.filled(everything)
    assert len(points(client, TENANT)) == everything
    print(f"started again: within {took:.1f} s the points are gone and the erasure is done; what came meanwhile is there")

    client.delete(NAMESPACE[TENANT], [point.id for point in points(client, TENANT)])
    assert not points(client, TENANT)
    one.search("automobile")
    took = until("it is filled again", lambda: len(points(client, TENANT)) == everything, 90)
    print(f"emptied behind its back: filled again from the shelf within {took:.1f} s of the search that found nothing")
    one.filled(everything)
    client.delete_collection(NAMESPACE[TENANT])
    one.search("automobile")
    took = until("it is there again", lambda: client.collection_exists(NAMESPACE[TENANT]) and len(points(client, TENANT)) == everything, 90)
    one.filled(everything)
    time.sleep(1.1)
    found, _ = one.search("motor transport")
    assert found and all(id.startswith("car-") for id in found[:3]), found
    print(f"its collection deleted behind its back: made anew within {took:.1f} s")

    number = served.call("GET", f"/admin/v1/tenants/{NEIGHBOUR}")["id"]
    served.call("DELETE", f"/admin/v1/tenants/{NEIGHBOUR}?shred=true")
    assert not client.collection_exists(NAMESPACE[NEIGHBOUR]) and client.collection_exists(NAMESPACE[TENANT])
    said = served.call("GET", f"/admin/v1/certificates/{number}")["certificate"]
    assert "collections_deleted 1\n" in said, said
    print("a tenant destroyed: its collection is gone, and its certificate says so: collections_deleted 1")
    number = served.call("GET", f"/admin/v1/tenants/{TENANT}")["id"]
    process.send_signal(signal.SIGSTOP)
    status, told = refused_with(lambda: served.call("DELETE", f"/admin/v1/tenants/{TENANT}?shred=true"))
    assert status == 502 and "did not answer in time" in told, (status, told)
    assert refused_with(lambda: served.call("GET", f"/admin/v1/certificates/{number}"))[0] == 404
    process.send_signal(signal.SIGCONT)
    certified = lambda: refused_with(lambda: served.call("GET", f"/admin/v1/certificates/{number}"))[0] is None
    took = until("it is certified", certified, 90)
    assert not client.collection_exists(NAMESPACE[TENANT])
    print(f"another, while the engine is silent: not certified, and {took:.0f} s after it is back deleted and certified")


def refused_with(call):
    try:
        call()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    return None, ""


if __name__ == "__main__":
    main()
