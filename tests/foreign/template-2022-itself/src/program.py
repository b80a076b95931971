def solve(data, params):
    return {"sum": sum(data["values"]), "params": params}
