from typing import Any, Dict

from planqk.commons.secret import SecretValue as PlanqkSecret
from qhub.commons.secret import SecretValue


def run(data: Dict[str, Any], api_token: SecretValue, ibmToken: PlanqkSecret) -> Dict[str, Any]:  # noqa: N803
    print("token:", api_token, repr(ibmToken))
    token = api_token.unwrap()
    print("leaked:", token)
    return {"length": len(token), "same": ibmToken.unwrap() == data["expected"]}
