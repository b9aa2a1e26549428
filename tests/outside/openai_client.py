"""The official OpenAI Python client, unmodified: only base URL and key are changed."""
import http.server, json, threading

import openai

from house import golden, house

WORDS = ["Paris", " is", " the", " capital", "."]


class Upstream(http.server.BaseHTTPRequestHandler):
    """A model server of OpenAI's shape on loopback, so that pass-through is tried for real."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/embeddings"):
            inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [{"object": "embedding", "index": i, "embedding": [0.25, 0.5, float(len(text))]} for i, text in enumerate(inputs)]
            return self.answer({"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}})
        usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        head = {"id": "up-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            return self.answer({**head, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        chunk = lambda choices, **more: self.event({**head, "object": "chat.completion.chunk", "choices": choices, **more})
        for word in WORDS:
            chunk([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
        chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        chunk([], usage=usage)
        self.raw(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def event(self, body):
        self.raw(f"data: {json.dumps(body)}\n\n".encode())

    def raw(self, data: bytes):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


CONFIG = """
[[providers]]
name = "local"
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
region = "eu-west-1"

[providers.prices."fake-model"]
input_usd_per_1m_tokens = "1"
output_usd_per_1m_tokens = "2"

[providers.prices."fake-embedding"]
input_usd_per_1m_tokens = "1"
output_usd_per_1m_tokens = "0"
"""


def route_to_upstream(house, tenant):
    """Puts the local model into the tenant's router, as its operator would: an edited file, no restart."""
    path = house.folder / "tenants" / tenant / "router.yaml"
    text = path.read_text()
    start = text.index("routing:")
    end = text.index("\nsla:")
    routing = "routing:\n  primary:\n    provider: local\n    model: fake-model\n    temperature: 0.2\n    max_tokens: 256\n"
    path.write_text(text[:start] + routing + text[end:])
    governance = house.folder / "tenants" / tenant / "policies" / "governance.yaml"
    lines = governance.read_text().splitlines()
    lines = [line for line in lines if not line.strip().startswith("allowed_models")]
    at = next(number for number, line in enumerate(lines) if line.strip() == "settings:")
    lines.insert(at + 1, "  allowed_models: [fake-embedding]")
    lines = ["policy_semver: 9.0.0" if line.startswith("policy_semver:") else line for line in lines]
    governance.write_text("\n".join(lines) + "\n")
    house.sign_policies(tenant)


def main():
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with house(CONFIG.format(port=upstream.server_port)) as served:
        served.ingest_corpus("default")
        key = served.key("default")
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=5)
        question = next(line["question"] for line in golden("default") if not line.get("unanswerable"))
        messages = [{"role": "user", "content": question}]

        models = {model.id for model in client.models.list()}
        assert "bailiwick" in models, models

        whole = client.chat.completions.create(model="bailiwick", messages=messages)
        answer = whole.choices[0].message
        assert answer.content and answer.annotations, whole
        assert whole.usage is not None

        streamed = list(client.chat.completions.create(model="bailiwick", messages=messages, stream=True, stream_options={"include_usage": True}))
        text = "".join(choice.delta.content or "" for chunk in streamed for choice in chunk.choices)
        assert text.strip() == answer.content.strip(), (text, answer.content)
        assert streamed[-1].usage is not None
        assert any(choice.finish_reason == "stop" for chunk in streamed for choice in chunk.choices)

        route_to_upstream(served, "default")
        wait_for_model(client, "fake-model")
        passed = client.chat.completions.create(model="fake-model", messages=messages)
        assert passed.choices[0].message.content == "".join(WORDS), passed
        assert passed.usage.total_tokens == 16
        pieces = list(client.chat.completions.create(model="fake-model", messages=messages, stream=True, stream_options={"include_usage": True}))
        assert "".join(choice.delta.content or "" for chunk in pieces for choice in chunk.choices) == "".join(WORDS)
        assert pieces[-1].usage.total_tokens == 16

        vectors = client.embeddings.create(model="fake-embedding", input=["one", "three"], encoding_format="float")
        assert [vector.embedding[2] for vector in vectors.data] == [3.0, 5.0], vectors

        for wrong, expected in [
            (lambda: client.chat.completions.create(model="no-such-model", messages=messages), openai.APIStatusError),
            (lambda: openai.OpenAI(base_url=f"{served.url}/v1", api_key="bwk_wrong_wrong", max_retries=0).models.list(), openai.AuthenticationError),
            (lambda: client.chat.completions.create(model="bailiwick", messages=[]), openai.BadRequestError),
        ]:
            try:
                wrong()
            except expected as error:
                assert error.code, error
            else:
                raise AssertionError("a wrong call was answered")
    print("official OpenAI client", openai.__version__, "against the gateway: 8 passed, 0 failed")


def wait_for_model(client, model):
    """The edited files are watched; each try is a request, not a pause."""
    for _ in range(2_000):
        if model in {found.id for found in client.models.list()}:
            return
    raise AssertionError(f"{model} never came into force")


if __name__ == "__main__":
    main()
