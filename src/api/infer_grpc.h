/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_INFER_GRPC_H
#define IG_API_INFER_GRPC_H

/* The gRPC services of the server: inference.GRPCInferenceService (Open Inference Protocol, Triton)
 * and grpc.health.v1.Health. Each method needs the scope of the HTTP route that does the same. */

#include "api/app.h"
#include "net/grpc.h"

enum { IG_GRPC_SERVICES = 2 };

/* The app must outlive the server. */
void ig_grpc_services(struct ig_grpc_service out[IG_GRPC_SERVICES], struct ig_app *app);

#endif
