from .model import Direction, InputData, InputParams, Result


def run(data: InputData, params: InputParams) -> Result:
    ordered = sorted(data.values, reverse=params.direction is Direction.down)
    return Result(ordered=ordered[: params.limit], direction=params.direction)
