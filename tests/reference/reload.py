"""Loads a model folder with transformers and compares it with what extracot computed from it.

    python reload.py FOLDER

FOLDER/expected.json holds token ids, the logits after the last of them (of the model, and of the model
with the adapters in FOLDER/adapter) and the control tokens with their ids. Needs torch and transformers;
the adapters are added by hand, so peft is not needed.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

TOLERANCE = 1e-5


def last_logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1]


def compare(name, found, expected):
    moved = (found - torch.tensor(expected)).abs().max().item()
    print(f"{name}: largest difference {moved:.2e}")
    assert moved < TOLERANCE, name


def add_adapters(model, folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    tensors = load_file(folder / "adapter_model.safetensors")
    parameters = dict(model.named_parameters())
    prefix = "base_model.model."
    for name, tensor in tensors.items():
        assert name.startswith(prefix), name
        plain = name[len(prefix) :]
        if plain.endswith(".lora_A.weight"):
            other = tensors[name.replace(".lora_A.", ".lora_B.")]
            weight = parameters[plain.replace(".lora_A.", ".")]
            weight.data += scale * other @ tensor
        elif not plain.endswith(".lora_B.weight"):
            parameters[plain].data.copy_(tensor)


def main():
    folder = Path(sys.argv[1])
    expected = json.loads((folder / "expected.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert model.config.vocab_size == expected["vocab_size"]
    compare("model", last_logits(model, expected["input_ids"]), expected["logits"])
    add_adapters(model, folder / "adapter")
    compare("with adapters", last_logits(model, expected["input_ids"]), expected["lora_logits"])

    tokenizer = AutoTokenizer.from_pretrained(folder)
    for token, token_id in expected["tokens"]:
        assert tokenizer(token)["input_ids"] == [token_id], token
        assert tokenizer.decode([token_id], skip_special_tokens=True) == token, token
    turn = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1+1?"}], tokenize=False, add_generation_prompt=True
    )
    close = expected["turn_close"]
    assert turn == f"<|im_start|>user\n1+1?{close}\n<|im_start|>assistant\n", turn
    assert GenerationConfig.from_pretrained(folder).eos_token_id is not None


main()
