"""A running server for the outside clients: the built binary, a folder of its own, a free port."""
import contextlib, json, os, pathlib, shutil, subprocess, tempfile, urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def binary() -> str:
    target = os.environ.get("CARGO_TARGET_DIR", str(REPOSITORY / "target"))
    profile = os.environ.get("BAILIWICK_PROFILE", "debug")
    return os.environ.get("BAILIWICK_BIN", f"{target}/{profile}/bailiwick")


class House:
    def __init__(self, url: str, folder: pathlib.Path, process: subprocess.Popen):
        self.url, self.folder, self.process = url, folder, process
        self.operator_key = (folder / "data" / "operator.key").read_text().strip()

    def call(self, method: str, path: str, body=None, key=None, headers=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("authorization", f"Bearer {key or self.operator_key}")
        request.add_header("content-type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"null")

    def key(self, tenant: str, role: str = "owner") -> str:
        return self.call("POST", f"/admin/v1/tenants/{tenant}/keys", {"role": role})["key"]

    def ingest_corpus(self, tenant: str) -> None:
        corpus = REPOSITORY / "tenants" / tenant / "corpus"
        command = [binary(), "ingest", "--server", self.url, "--data", str(self.folder / "data"), "--tenant", tenant, str(corpus)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def sign_policies(self, tenant: str) -> None:
        """As the tenant's signers would: the samples' key is public."""
        command = [binary(), "policy", "sign", "--tenant", tenant, "--tenants", str(self.folder / "tenants"),
                   "--signer", str(REPOSITORY / "tests" / "keys" / "sample_signer")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def house(config: str = "", prepare=lambda folder: None):
    """Starts a server on a copy of the sample tenants and ends it in order; a bad exit code fails the test. `prepare` is
    called with the server's folder before it starts."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(REPOSITORY / "tenants", folder / "tenants")
        (folder / "config.toml").write_text(config)
        prepare(folder)
        command = [binary(), "serve", "--listen", "127.0.0.1:0", "--data", str(folder / "data"),
                   "--tenants", str(folder / "tenants"), "--config", str(folder / "config.toml")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(folder / "log", "wb"))
        try:
            yield House(wait_for_url(folder / "log", process), folder, process)
        finally:
            process.terminate()
            code = process.wait(timeout=60)
            if code != 0:
                print((folder / "log").read_text()[-4000:])
                raise SystemExit(f"the server ended with {code}")


def wait_for_url(log: pathlib.Path, process: subprocess.Popen) -> str:
    with open(log) as lines:
        while process.poll() is None:
            line = lines.readline()
            if "listening on " in line:
                return line.split("listening on ", 1)[1].strip()
    raise SystemExit(f"the server ended before it listened:\n{log.read_text()}")


def golden(tenant: str):
    lines = (REPOSITORY / "tenants" / tenant / "eval" / "golden.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.strip()]
