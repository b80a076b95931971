from enum import Enum
from typing import List, Optional

from pydantic import BaseModel, Field


class Direction(str, Enum):
    up = "up"
    down = "down"


class InputData(BaseModel):
    values: List[float] = Field(min_length=1)


class InputParams(BaseModel):
    direction: Direction = Direction.up
    limit: Optional[int] = None


class Result(BaseModel):
    ordered: List[float]
    direction: Direction
