"""Redis from Debian as the shared cache of two nodes with the same keys: what one has answered the other answers again without a
model. Redis is read as whoever runs it could: names and values say nothing, and an entry copied to another name or another tenant is
not taken. Without Redis everything goes on."""
import contextlib, http.server, json, os, pathlib, re, shutil, signal, subprocess, tempfile, threading, time, urllib.request

from house import REPOSITORY, binary, house
from key_service import free_port, until

MODEL, TENANTS = "counting-model", ["default", "beta-inc"]
DOCUMENT = {"id": "leave", "title": "Leave", "text": "Every employee has thirty days of paid leave in a year. The codeword is heron."}


class Model(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible model that counts its calls."""

    protocol_version = "HTTP/1.1"
    calls = 0

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).calls += 1
        words = f"Answer {type(self).calls} to {asked['messages'][-1]['content'][-40:]}"
        body = json.dumps({"id": "a", "object": "chat.completion", "created": 1, "model": MODEL,
                           "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words}}],
                           "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def redis(port: int, folder: pathlib.Path, *more: str):
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--requirepass", "hidden", *more]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until("redis listens", lambda: cli(port, "PING") == "PONG")
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=30)


def cli(port: int, *words: str) -> str:
    command = ["redis-cli", "-p", str(port), "--no-auth-warning", "-a", "hidden", *words]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.strip()


def authority(folder: pathlib.Path) -> list[str]:
    """Certificates of an authority of the tests' own, which the node trusts as it would the machine's."""
    run = lambda *words: subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests", "-days", "2")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    run("x509", "-req", "-in", "redis.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "redis.pem", "-days", "2", "-extfile", "names")
    os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")
    return ["--tls-cert-file", str(folder / "redis.pem"), "--tls-key-file", str(folder / "redis.key"), "--tls-ca-cert-file",
            str(folder / "ca.pem"), "--tls-auth-clients", "no"]


def config(model: int, port: int, scheme: str = "redis", host: str = "127.0.0.1") -> str:
    return f"""
[shared_cache]
url = "{scheme}://{host}:{port}/0"
region = "eu-west-1"
password_env = "SHARED_CACHE_PASSWORD"
timeout_ms = 200

[[providers]]
name = "counting"
kind = "openai"
base_url = "http://127.0.0.1:{model}/v1"
region = "eu-west-1"
timeout_ms = 20000
[providers.prices."{MODEL}"]
input_usd_per_1m_tokens = "0"
output_usd_per_1m_tokens = "0"
"""


def prepare(keys_of=None):
    def prepared(folder: pathlib.Path):
        for tenant in TENANTS:
            home = folder / "tenants" / tenant
            record, router = home / "tenant.yaml", home / "router.yaml"
            record.write_text(record.read_text() + f'\nstorage:\n  cache_prefix: "redis:tenant-{tenant}:"\n')
            router.write_text(router.read_text() + "\ncache:\n  exact:\n    ttl_s: 600\n    max_bytes: 1048576\n")
            lists = home / "data-sovereignty.yaml"
            if "- eu-west-1" not in lists.read_text():
                lists.write_text(lists.read_text().replace("  allowed_regions:\n", "  allowed_regions:\n    - eu-west-1\n", 1))
            router.write_text(re.sub(r"(?m)^(  primary:\n    provider: ).*\n(    model: ).*$", rf"\1counting\n\2{MODEL}", router.read_text(), count=1))
        if keys_of is not None:
            shutil.copytree(keys_of, folder / "data")
    return prepared


def complete(served, key: str, words: str):
    body = {"model": MODEL, "messages": [{"role": "user", "content": words}]}
    began = time.monotonic()
    answer = served.call("POST", "/v1/chat/completions", body, key=key)
    return answer["choices"][0]["message"]["content"], time.monotonic() - began


def counts(served) -> dict:
    request = urllib.request.Request(served.url + "/metrics", headers={"authorization": f"Bearer {served.operator_key}"})
    text = urllib.request.urlopen(request, timeout=30).read().decode()
    found = re.findall(r'(?m)^bailiwick_shared_cache_total\{[^}]*outcome="(\w+)"[^}]*\} (\d+)', text)
    return {name: int(count) for name, count in found}


def doctor(folder: pathlib.Path, text: str) -> dict:
    (folder / "doctor.toml").write_text(text)
    command = [binary(), "doctor", "--config", folder / "doctor.toml", "--data", folder / "doctor", "--tenants", REPOSITORY / "tenants", "--output", "json"]
    said = subprocess.run(list(map(str, command)), capture_output=True, text=True).stdout
    found, = [finding for finding in json.loads(said) if finding["check"] == "cache"]
    return found


def main():
    os.environ["SHARED_CACHE_PASSWORD"] = "hidden"
    model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as nodes:
        folder = pathlib.Path(folder)
        (folder / "redis").mkdir()
        server = nodes.enter_context(redis(port, folder / "redis"))
        text = config(model.server_address[1], port)
        assert doctor(folder, text)["state"] == "good", doctor(folder, text)
        os.environ["SHARED_CACHE_PASSWORD"] = "wrong"
        refused = doctor(folder, text)
        os.environ["SHARED_CACHE_PASSWORD"] = "hidden"
        assert refused["state"] == "warning", refused
        print("doctor: the cache answers, and does not know a wrong password")
        # a first node makes the keys; two later ones have copies of its data, as after a move
        with house(text, prepare()) as first:
            keys = {tenant: first.key(tenant) for tenant in TENANTS}
            data = first.folder / "data"
            first.process.send_signal(signal.SIGSTOP)
            shutil.copytree(data, folder / "data")
            first.process.send_signal(signal.SIGCONT)
        one = nodes.enter_context(house(text, prepare(folder / "data")))
        two = nodes.enter_context(house(text, prepare(folder / "data")))
        words, _ = complete(one, keys["default"], "What is the codeword?")
        until("it is put there", lambda: counts(one).get("stored") == 1)
        again, _ = complete(two, keys["default"], "What is the codeword?")
        assert again == words and Model.calls == 1, (words, again, Model.calls)
        assert counts(two)["hit"] == 1, counts(two)
        print(f"two nodes with the same keys: {Model.calls} call of the model for 2 answers")

        names = cli(port, "KEYS", "*").splitlines()
        assert len(names) == 1 and re.fullmatch(r"redis:tenant-default:[0-9a-f]{64}", names[0]), names
        raw = subprocess.run(["redis-cli", "-p", str(port), "--no-auth-warning", "-a", "hidden", "GET", names[0]], capture_output=True).stdout
        assert b"codeword" not in raw and b"Answer" not in raw and MODEL.encode() not in raw
        left = int(cli(port, "PTTL", names[0]))
        assert 0 < left <= 600_000, left
        print(f"in Redis: one name of 64 digits below the prefix, {len(raw)} sealed bytes, gone in {left // 1000} s")

        complete(one, keys["beta-inc"], "What is the codeword?")
        assert Model.calls == 2, "another tenant's answer is its own"
        until("it is put there", lambda: counts(one).get("stored") == 2)
        other = next(name for name in cli(port, "KEYS", "redis:tenant-beta-inc:*").splitlines())
        assert cli(port, "COPY", other, names[0], "REPLACE") == "1"
        before = counts(two).get("refused", 0)
        words, _ = complete(two, keys["default"], "What is the codeword?")
        assert Model.calls == 3 and "Answer 3" in words, (Model.calls, words)
        assert counts(two)["refused"] == before + 1, counts(two)
        print("an entry of another tenant copied under the first one's name: not opened, answered anew")

        at = counts(one)["stored"]
        complete(one, keys["default"], "And what is the other codeword?")
        until("it is put there", lambda: counts(one)["stored"] == at + 1)
        for name in cli(port, "KEYS", "redis:tenant-default:*").splitlines():
            cli(port, "SETRANGE", name, "4000000", "x")
        complete(two, keys["default"], "And what is the other codeword?")
        assert counts(two)["refused"] == before + 2, counts(two)
        print("four megabytes under its name: not taken")

        server.send_signal(signal.SIGSTOP)
        took = [complete(two, keys["default"], f"While Redis is silent, {number}?")[1] for number in range(20)]
        server.send_signal(signal.SIGCONT)
        slowest = max(took)
        assert sum(one >= 0.2 for one in took) <= 4, took
        print(f"while Redis is silent: 20 answers, the slowest after {slowest * 1000:.0f} ms, {counts(two)['failed']} looks and stores given up")
        at, number = counts(two)["stored"], iter(range(1000))
        until("it is asked again", lambda: complete(two, keys["default"], f"Is it back, {next(number)}?") and counts(two)["stored"] > at)
        server.terminate()
        server.wait(timeout=30)
        took = [complete(two, keys["default"], f"While Redis is gone, {number}?")[1] for number in range(20)]
        print(f"while Redis is gone: 20 answers, the slowest after {max(took) * 1000:.0f} ms")

    over_tls(model.server_address[1])


def over_tls(model: int):
    """With TLS 1.3 answers are put there; a server of TLS 1.2 alone is not used by tenants that ask for 1.3, nor is one nobody vouches for."""
    for protocols, host, is_used in [("TLSv1.2 TLSv1.3", "localhost", True), ("TLSv1.2", "localhost", False), ("TLSv1.3", "127.0.0.1", False)]:
        with tempfile.TemporaryDirectory() as folder:
            folder, plain, port = pathlib.Path(folder), free_port(), free_port()
            more = [*authority(folder), "--tls-port", str(port), "--tls-protocols", protocols]
            with redis(plain, folder, *more), house(config(model, port, "rediss", host), prepare()) as served:
                complete(served, served.key("default"), f"Over {protocols} to {host}?")
                until("it is put there or given up", lambda: counts(served).get("stored" if is_used else "failed", 0) >= 1)
                assert (cli(plain, "DBSIZE") == "1") == is_used, cli(plain, "DBSIZE")
                print(f"a server at {host} that speaks {protocols}: {'used' if is_used else 'not used'}")


if __name__ == "__main__":
    main()
