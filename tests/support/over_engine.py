"""vLLM's two routes over our own transformers engine, in process: stands behind the middleware where no vLLM is needed.

Prompts are worded by the chat template of the bundle, as vLLM does; probabilities come from the model without our
engine.
"""

import json

from llmtl.serving.bundle.manifest import CHAT_TEMPLATE
from llmtl.serving.bundle.read import load_bundle_tokenizer, open_bundle


class OverEngine:
    """Answers `/v1/completions` with next-token probabilities, and chats in the form that the bundle says."""

    def __init__(self, folder, engine, adapter=None):
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        self.bundle, self.engine = open_bundle(folder), engine
        self.tokenizer = load_bundle_tokenizer(self.bundle, folder)
        self.template = (folder / CHAT_TEMPLATE).read_text()
        model = AutoModelForCausalLM.from_pretrained(folder / self.bundle.base.source)
        self.model = model if adapter is None else PeftModel.from_pretrained(model, adapter)

    async def __call__(self, scope, receive, send):
        body = json.loads((await receive())["body"])
        assert body["model"] == self.bundle.winner.engine_model
        answer = self.completions(body) if scope["path"] == "/v1/completions" else self.chat(body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def completions(self, body):
        """Return the probabilities of the allowed tokens, alone, after each prompt."""
        import torch

        allowed = body["allowed_token_ids"]
        choices = []
        for at, prompt in enumerate(body["prompt"]):
            with torch.inference_mode():
                logits = self.model(torch.tensor([prompt])).logits[0, -1, allowed].double()
            told = zip((f"token_id:{each}" for each in allowed), logits.log_softmax(0).tolist(), strict=True)
            choices.append({"index": at, "logprobs": {"top_logprobs": [dict(told)]}})
        return {"choices": choices}

    def chat(self, body):
        """Return the answer to one conversation."""
        prompt = self.tokenizer.apply_chat_template(
            body["messages"],
            chat_template=self.template,
            tokenize=False,
            add_generation_prompt=True,
            **body.get("chat_template_kwargs", {}),
        )
        output, form = self.bundle.output, body.get("structured_outputs", {})
        if "choice" in form:
            [scores] = self.engine.score([prompt], form["choice"])
            text, finished, tokens = form["choice"][scores.choice], True, scores.prompt_tokens
        else:
            stop = body.get("stop", [None])[0]
            [made] = self.engine.generate([prompt], max_tokens=body["max_tokens"], schema=output.schema, stop=stop)
            text, finished, tokens = made.text, made.finished, made.prompt_tokens
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop" if finished else "length",
            "logprobs": None,
        }
        usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        head = {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"]}
        return {**head, "choices": [choice], "usage": usage}
