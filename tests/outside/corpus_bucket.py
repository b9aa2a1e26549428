"""A tenant whose documents lie in a bucket, served by moto's S3 and filled with AWS's own client. Between the node and moto stands a
recorder, which says what was asked for. A neighbour names the same bucket and is given nothing of it."""
import http.server, os, re, threading, urllib.error, urllib.request

import boto3

from house import house
from key_service import moto, until

REGION, ACCESS, SECRET, BUCKET = "eu-central-1", "AKIAOFTHETESTS", "the secret of the tests", "tenant-default"
TENANT, NEIGHBOUR = "default", "beta-inc"


class Recorder(http.server.ThreadingHTTPServer):
    """Passes requests on and keeps their paths."""

    daemon_threads = True

    def __init__(self, upstream: str):
        super().__init__(("127.0.0.1", 0), Passing)
        self.upstream, self.fetched, self.unsigned = upstream, [], 0


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.strip("/") != BUCKET:
            self.server.fetched.append(path)
        self.server.unsigned += not self.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 ")
        request = urllib.request.Request(self.server.upstream + self.path)
        for name in ("authorization", "x-amz-date", "x-amz-content-sha256", "if-match"):
            if self.headers[name]:
                request.add_header(name, self.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, headers, answer = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            status, headers, answer = error.code, error.headers, error.read()
        self.send_response(status)
        for name in ("content-type", "etag", "last-modified"):
            if headers[name]:
                self.send_header(name, headers[name])
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def bucket_of(served, tenant: str):
    return served.call("GET", f"/admin/v1/tenants/{tenant}/quota")["corpus"].get("bucket")


def prepare(folder):
    """Both tenants name the bucket."""
    for tenant in (TENANT, NEIGHBOUR):
        file = folder / "tenants" / tenant / "tenant.yaml"
        file.write_text(file.read_text() + f"\nstorage:\n  corpus_bucket: s3://{BUCKET}/corpus/\n")


def trust(served):
    """The guard of the tenant trusts the host its bucket is at."""
    folder = served.folder / "tenants" / TENANT / "policies"
    retrieval = folder / "retrieval.yaml"
    text = re.sub(r"(?m)^policy_semver:.*$", "policy_semver: 9.1.0", retrieval.read_text())
    retrieval.write_text(text.replace("    allowlist:\n", "    allowlist:\n      - 127.0.0.1\n", 1))
    governance = folder / "governance.yaml"
    governance.write_text(re.sub(r"(?m)^policy_semver:.*$", "policy_semver: 9.1.0", governance.read_text()))
    served.sign_policies(TENANT)


def main():
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET)
    with moto() as upstream:
        s3 = boto3.client("s3", endpoint_url=upstream, region_name=REGION, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        put = lambda key, text: s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        for number in range(1200):
            put(f"corpus/ward {number % 7}/note-{number}.txt", f"Note {number}: the codeword of ward {number} is heron{number}.")
        put("elsewhere/secret.txt", "Not of this folder.")
        odd = ["corpus//odd.txt", "corpus/ward 3//odd.txt"]
        for name in odd:
            put(name, "Nobody reads it.")
        recorder = Recorder(upstream)
        threading.Thread(target=recorder.serve_forever, daemon=True).start()
        config = f"""
[[buckets]]
bucket = "{BUCKET}"
tenant = "{TENANT}"
region = "{REGION}"
endpoint = "http://127.0.0.1:{recorder.server_address[1]}"
every_s = 1
"""
        with house(config, prepare) as served:
            key, other = served.key(TENANT), served.key(NEIGHBOUR)
            trust(served)
            whole = lambda: (bucket_of(served, TENANT) or {}).get("here") == 1200
            took = until("the bucket is taken in", whole, 300)
            hits = served.call("POST", "/v1/search", {"query": "codeword heron777"}, key=key)["hits"]
            assert "heron777" in hits[0]["text"], hits[:1]
            print(f"1200 objects of two pages taken in within {took:.1f} s, searchable")
            bucket = bucket_of(served, TENANT)
            assert (bucket["objects"], bucket["skipped"]) == (1202, 2) and "2 objects are left out" in bucket["trouble"], bucket
            for name in odd:
                s3.delete_object(Bucket=BUCKET, Key=name)
            until("nothing is left out any more", lambda: bucket_of(served, TENANT).get("trouble") is None)
            print("two whose key has an empty part were left out, and told: " + bucket["trouble"])
            fetched = len(recorder.fetched)
            assert fetched == 1200, fetched
            looked = bucket_of(served, TENANT)["looked_at"]
            until("it is looked at again", lambda: bucket_of(served, TENANT)["looked_at"] > looked)
            assert len(recorder.fetched) == fetched, "nothing is read twice"
            put("corpus/ward 0/note-0.txt", "Note 0, changed: the codeword is kingfisher.")
            s3.delete_object(Bucket=BUCKET, Key="corpus/ward 1/note-1.txt")
            changed = lambda: (lambda bucket: bucket["objects"] == 1199 and bucket["here"] == 1199)(bucket_of(served, TENANT))
            until("a change and a removal are followed", changed)
            find = lambda words: [hit["text"] for hit in served.call("POST", "/v1/search", {"query": words}, key=key)["hits"]]
            until("the changed one is found", lambda: any("kingfisher" in text for text in find("codeword kingfisher")))
            until("the removed one is not", lambda: not any("heron1." in text for text in find("heron1")))
            assert len(recorder.fetched) == fetched + 1, len(recorder.fetched)
            assert not any("elsewhere" in path for path in recorder.fetched)
            print(f"{len(recorder.fetched)} objects read: 1200, and the one that changed; all requests signed: {recorder.unsigned == 0}")
            assert recorder.unsigned == 0
            neighbour = bucket_of(served, NEIGHBOUR)
            assert neighbour["here"] == 0 and "no bucket of this name" in neighbour["trouble"], neighbour
            assert not served.call("POST", "/v1/search", {"query": "codeword heron777"}, key=other)["hits"]
            print("a neighbour that names the bucket is given nothing: " + neighbour["trouble"])
            sovereignty = served.folder / "tenants" / TENANT / "data-sovereignty.yaml"
            sovereignty.write_text(sovereignty.read_text().replace(f"    - {REGION}\n", "", 1))
            until("the region is refused", lambda: f"region {REGION}" in (bucket_of(served, TENANT).get("trouble") or ""))
            before = len(recorder.fetched)
            put("corpus/late.txt", "Too late.")
            until("it is looked at in vain", lambda: f"region {REGION}" in bucket_of(served, TENANT)["trouble"])
            assert len(recorder.fetched) == before
            print("a region its lists do not allow any more: nothing is read: " + bucket_of(served, TENANT)["trouble"])


if __name__ == "__main__":
    main()
