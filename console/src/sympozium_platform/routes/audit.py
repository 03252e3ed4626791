"""The audit of the caller's tenant."""

from fastapi import APIRouter

router = APIRouter(tags=["audit"])
