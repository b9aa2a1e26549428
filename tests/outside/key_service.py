"""AWS KMS as moto plays it, and the AWS SDK's own signer as judge of every request: tenants whose keys wrap theirs, one of which is
disabled and enabled again while the others are asked all the time. moto keeps a key's state and lets a disabled one be used all the
same: what AWS answers then (DisabledException) is answered here, by the state moto tells."""
import contextlib, http.server, json, os, pathlib, socket, subprocess, sys, threading, time, urllib.error, urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from house import house

REGION, ACCESS, SECRET = "us-east-1", "AKIAOFTHETESTS", "the secret of the tests"
TENANTS = ["harbour", "quay"]
NEIGHBOUR = "default"
SEALED_WITHIN_S = 5.0
ROUNDS = 3
QUESTION = "How many days of paid leave does an employee have?"
LEAVE = {"id": "leave", "title": "Leave", "text": "Every employee has thirty days of paid leave in a year."}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def moto():
    port = free_port()
    server = pathlib.Path(sys.executable).parent / "moto_server"
    process = subprocess.Popen([str(server), "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("moto listens", lambda: answers(f"http://127.0.0.1:{port}/moto-api/"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
        return True
    except OSError:
        return False


class Judge(http.server.ThreadingHTTPServer):
    """Passes requests on whose signature the SDK's own signer would have made, and counts those it would not."""

    daemon_threads = True

    def __init__(self, upstream: str, aws):
        super().__init__(("127.0.0.1", 0), Passing)
        self.upstream, self.aws, self.judged, self.wrong = upstream, aws, 0, []


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.judged += 1
        if not signed_alike(self.headers, body, f"http://{self.headers['host']}{self.path}"):
            self.server.wrong.append(dict(self.headers))
        key = json.loads(body)["KeyId"].rsplit("/", 1)[1]
        if is_disabled(self.server.aws, key):
            return self.answer(400, json.dumps({"__type": "DisabledException", "message": f"{key} is disabled."}).encode())
        request = urllib.request.Request(self.server.upstream + self.path, data=body, method="POST")
        for name in ("authorization", "content-type", "x-amz-date", "x-amz-target"):
            request.add_header(name, self.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, answer = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, answer = error.code, error.read()
        self.answer(status, answer)

    def answer(self, status: int, answer: bytes):
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def is_disabled(aws, key: str) -> bool:
    """A key nobody knows is told so by moto itself: the sample tenant acme-corp names one."""
    try:
        return not aws.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    except aws.exceptions.NotFoundException:
        return False


def signed_alike(headers, body: bytes, url: str) -> bool:
    fields = dict(part.strip().split("=", 1) for part in headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(","))
    names = fields["SignedHeaders"].split(";")
    if not {"host", "x-amz-date", "x-amz-target"} <= set(names):
        return False
    request = AWSRequest(method="POST", url=url, data=body, headers={name: headers[name] for name in names})
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS, SECRET), "kms", REGION)
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return fields["Signature"] == expected and fields["Credential"] == signer.scope(request)


class Asker(threading.Thread):
    """Asks one tenant until told to stop; keeps what went wrong."""

    def __init__(self, served, key: str):
        super().__init__(daemon=True)
        self.served, self.key, self.going_on, self.done, self.failed = served, key, True, 0, []

    def run(self):
        while self.going_on:
            status, answer = ask(self.served, self.key)
            if status != 200 or answer["abstained"]:
                self.failed.append((status, answer))
            self.done += 1


def ask(served, key: str):
    try:
        return 200, served.call("POST", "/v1/ask", {"question": QUESTION}, key=key)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def until(what: str, holds, patience_s: float = 60.0) -> float:
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > patience_s:
            raise SystemExit(f"waited in vain: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def new_tenant(served, name: str) -> str:
    served.call("POST", "/admin/v1/tenants", {
        "name": name, "plan": "enterprise", "config": {"region": REGION, "retention_days": 30},
        "quotas": {"max_requests_per_hour": 1_000_000, "max_concurrent_requests": 8, "max_cost_per_month": "10", "max_storage_gb": 1},
        "metadata": {"industry": "shipping", "compliance": [], "contact_email": "a@b.example"}})
    key = served.key(name)
    return key


def take_key(served, name: str, arn: str) -> None:
    file = served.folder / "tenants" / name / "data-sovereignty.yaml"
    file.write_text(file.read_text().replace("in_transit: TLS-1.3", f"in_transit: TLS-1.3\n    kms_key_id: {arn}"))
    path = f"/admin/v1/tenants/{name}/encryption"
    wrapped = lambda: all(version.get("wrapped_by") == arn for version in served.call("GET", path)["versions"])
    until(f"the key wraps {name}'s", wrapped)


def main():
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET)
    with moto() as upstream:
        aws = boto3.client("kms", endpoint_url=upstream, region_name=REGION, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        judge = Judge(upstream, aws)
        threading.Thread(target=judge.serve_forever, daemon=True).start()
        arns = {name: aws.create_key(Description=name)["KeyMetadata"]["Arn"] for name in TENANTS}
        config = f'[[kms.providers]]\nkind = "aws-kms"\nregion = "{REGION}"\nendpoint = "http://127.0.0.1:{judge.server_address[1]}"\n'
        with house(config) as served:
            keys = {name: new_tenant(served, name) for name in TENANTS} | {NEIGHBOUR: served.key(NEIGHBOUR)}
            for name, key in keys.items():
                served.call("POST", "/v1/documents", {"documents": [LEAVE]}, key=key)
                until("the document is indexed", lambda: served.call("GET", "/v1/documents/leave", key=key)["state"] == "indexed")
            for name, arn in arns.items():
                take_key(served, name, arn)
            assert ask(served, keys["harbour"])[0] == 200
            beside = [Asker(served, keys[name]) for name in ("quay", NEIGHBOUR)]
            for asker in beside:
                asker.start()
            sealed = lambda: ask(served, keys["harbour"])[1].get("code") == "tenant_sealed"
            for _ in range(ROUNDS):
                aws.disable_key(KeyId=arns["harbour"].rsplit("/", 1)[1])
                took = until("the tenant is sealed", sealed)
                assert took <= SEALED_WITHIN_S, took
                assert served.call("GET", "/admin/v1/tenants/harbour")["state"] == "sealed"
                aws.enable_key(KeyId=arns["harbour"].rsplit("/", 1)[1])
                back = until("the tenant is unsealed", lambda: ask(served, keys["harbour"])[0] == 200)
                print(f"sealed {took:.1f} s after its key was disabled, unsealed {back:.1f} s after it was enabled")
            served.call("POST", "/admin/v1/tenants/harbour/encryption/rotate")
            for asker in beside:
                asker.going_on = False
                asker.join(timeout=60)
                assert not asker.failed, asker.failed[:3]
            print(f"{sum(asker.done for asker in beside)} questions of the neighbours meanwhile, 0 failed")
            assert judge.judged > 10 and not judge.wrong, judge.wrong[:1]
            print(f"{judge.judged} requests to AWS KMS, each signed as the AWS SDK would have signed it")


if __name__ == "__main__":
    main()
