from typing import Any, Dict, Optional

from planqk.commons.datapool import DataPool


def run(data: Dict[str, Any], my_dataset: Optional[DataPool] = None) -> Dict[str, Any]:
    if my_dataset is None:
        return {"files": None}
    return {"files": sorted(my_dataset.list_files()), "name": my_dataset.name}
