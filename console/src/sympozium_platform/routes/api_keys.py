"""API keys of the caller."""

from fastapi import APIRouter

router = APIRouter(tags=["api-keys"])
