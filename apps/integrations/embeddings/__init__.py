"""Texts as vectors that are near each other where the texts are alike, and the providers this process knows."""

from apps.integrations.embeddings.registry import WIDTH, Embedder, Vector, chosen, embed, register

__all__ = ["WIDTH", "Embedder", "Vector", "chosen", "embed", "register"]
