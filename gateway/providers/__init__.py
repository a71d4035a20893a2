"""What is particular to a provider: base URL, how a key is sent, breaker and timeouts.

A new provider is one file here and one line in `PRESETS`.
"""

from gateway.providers.anthropic import ANTHROPIC
from gateway.providers.base import Preset
from gateway.providers.comfyui import COMFYUI
from gateway.providers.duitku import DUITKU
from gateway.providers.fal import FAL
from gateway.providers.huggingface import HUGGINGFACE
from gateway.providers.openai import OPENAI

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (OPENAI, ANTHROPIC, HUGGINGFACE, FAL, COMFYUI, DUITKU)
}

__all__ = ["PRESETS", "Preset"]
