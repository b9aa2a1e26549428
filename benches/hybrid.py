#!/usr/bin/env python3
"""What a search by words and meaning takes on one tenant's 100,000 passages, through the public route.

  BAILIWICK_PROFILE=release target/outside/bin/python benches/hybrid.py [passages]

The model is a stand-in that answers at once with 384 numbers drawn from the text's hash: what is measured is the house.
Questions are asked twice: first with their embedding, over a second connection of the loopback, then with its vector
remembered. The search by words alone is measured beside both.
"""
import hashlib, http.client, http.server, json, os, pathlib, random, sys, threading, time, urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "outside"))
import dense  # noqa: E402
from house import house  # noqa: E402

TENANT, DIMENSIONS, PER_REQUEST, WORDS, QUESTIONS, ROUNDS = "default", 384, 500, 120, 250, 8


def drawn(text):
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    return [dice.randrange(-999, 1000) for _ in range(DIMENSIONS)]


class StandIn(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for a delayed acknowledgement

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
        data = [{"index": index, "embedding": drawn(text)} for index, text in enumerate(texts)]
        answer = json.dumps({"data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def words(dice, count):
    """The n-th word is about 1/n as frequent as the first."""
    return " ".join(f"w{int(30_000 ** dice.random()):x}z" for _ in range(count))


def times(served, key, questions):
    address = urllib.parse.urlsplit(served.url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    taken = []
    for question in questions:
        body = json.dumps({"query": question, "top_k": 8})
        began = time.perf_counter()
        connection.request("POST", "/v1/search", body, {"authorization": f"Bearer {key}", "content-type": "application/json"})
        answer = connection.getresponse()
        hits = json.loads(answer.read())
        taken.append(time.perf_counter() - began)
        if answer.status != 200 or not hits["hits"]:
            raise SystemExit(f"{answer.status}: {hits}")
    return taken


def processor_s(served):
    """Processor time of the server so far: what a search costs, whatever else the machine does."""
    fields = pathlib.Path(f"/proc/{served.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(served, name, measured):
    before = processor_s(served)
    taken = sorted(measured())
    each = (processor_s(served) - before) / len(taken) * 1e3
    at = lambda share: taken[min(len(taken) - 1, int(len(taken) * share))] * 1e3
    print(f"{name:44s} p50 {at(0.5):6.2f} ms   p95 {at(0.95):6.2f} ms   p99 {at(0.99):6.2f} ms   processor {each:5.2f} ms   of {len(taken)}", flush=True)


def side_by_side(served, key, questions):
    gathered = []
    threads = [threading.Thread(target=lambda: gathered.extend(times(served, key, questions))) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return gathered


def main():
    passages = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    dice = random.Random(7)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with house(dense.config(f"http://127.0.0.1:{server.server_port}/v1")) as served:
        key = served.key(TENANT)
        for begin in range(0, passages, PER_REQUEST):
            batch = [{"id": f"d{number}", "title": "Measured", "text": words(dice, WORDS)} for number in range(begin, min(begin + PER_REQUEST, passages))]
            served.call("POST", "/v1/documents", {"documents": batch}, key=key)
        questions = [words(dice, 3 + number % 6) for number in range(QUESTIONS)]
        again = lambda: sum((times(served, key, questions) for _ in range(ROUNDS)), [])
        times(served, key, questions)
        show(served, "by words", again)
        began = time.perf_counter()
        dense.want(served, TENANT, 1, untested=True, chunks_per_minute=600_000)
        dense.wait(served, key, TENANT, passages)
        print(f"{passages} passages embedded in {time.perf_counter() - began:.0f} s", flush=True)
        show(served, "by words and meaning, question embedded", lambda: times(served, key, questions))
        show(served, "by words and meaning, vector remembered", again)
        show(served, "the same, two at a time", lambda: sum((side_by_side(served, key, questions) for _ in range(ROUNDS // 2)), []))
        status = pathlib.Path(f"/proc/{served.process.pid}/status").read_text()
        print(next(line for line in status.splitlines() if line.startswith("VmRSS")))


if __name__ == "__main__":
    main()
