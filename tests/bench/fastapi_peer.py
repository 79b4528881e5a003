# SPDX-License-Identifier: Apache-2.0
"""What people write to serve a model: FastAPI around XGBoost. `fastapi_peer.py MODEL PORT`."""
import sys

import numpy
import uvicorn
import xgboost
from fastapi import FastAPI, Request

app = FastAPI()
booster = xgboost.Booster(model_file=sys.argv[1])
booster.set_param({"nthread": 1})


@app.post("/predict")
async def predict(request: Request):
    body = await request.json()
    rows = numpy.asarray(body["instances"], dtype=numpy.float32)
    return {"predictions": booster.inplace_predict(rows).tolist()}


@app.get("/version")
def version():
    return {"xgboost": xgboost.__version__}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
