"""FastAPI with a model that takes one call at a time, as one on a device does; a call per request."""

import asyncio

from fastapi import FastAPI
from pydantic import BaseModel
from steady_model import call


class Asked(BaseModel):
    number: float


app = FastAPI()
turn = asyncio.Lock()  # first come, first served


@app.post("/predict")
async def predict(asked: Asked) -> dict[str, float]:
    async with turn:
        return {"number": (await asyncio.to_thread(call, [asked.number]))[0]}
