/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EDGE_EDGE_DEVICE_H
#define IG_SERVICES_EDGE_EDGE_DEVICE_H

/* What a model takes on a device: told by the device's own runtime (apps/edge), built for this
 * machine, of the compact file. A device belongs to one thread. */

#include "base/json.h"
#include "services/edge/edge_pack.h"

#include "ingot_edge.h"
#include "ingot_edge_file.h"

struct ig_edge_device {
    struct ig_buf file;
    struct ige_model model;
    struct ige_interpreter interpreter; /* ready */
    double bound; /* no margin is off by more; NaN: the file came as it is, and does not say */
    uint32_t *features; /* of each input the package's feature; NULL: in the package's order */
    struct ig_arena memory;
};
void ig_edge_device_init(struct ig_edge_device *device);
void ig_edge_device_deinit(struct ig_edge_device *device);
/* Fills the file. */
enum ig_code ig_edge_device_pack(struct ig_edge_device *device, const struct ig_package *package,
                                 const struct ig_edge_choice *choice, struct ig_err *err);
/* Loads what the file holds. CORRUPT: the runtime refuses it. */
enum ig_code ig_edge_device_start(struct ig_edge_device *device, struct ig_err *err);
bool ig_edge_device_is_network(const struct ig_edge_device *device);

/* Bytes of the file by part, of trees. */
struct ig_edge_tree_facts {
    uint32_t splits, leaves, thresholds, sets, rest;
    uint64_t nodes;
    const char *leaf;
};
struct ig_edge_tree_facts ig_edge_device_trees(const struct ig_edge_device *device);
struct ig_edge_network_facts {
    uint32_t counts[IGE_OPS_COUNT]; /* of each operator */
    uint64_t products;
    unsigned long mask;
    uint32_t encoded; /* numbers that an encoder makes of a row; 0: there is none */
    uint32_t encoder_bytes;
    const char *rounding;
};
struct ig_edge_network_facts ig_edge_device_network(const struct ig_edge_device *device);
const char *ig_edge_device_op_name(uint32_t code);

/* All of it as members of the object that is open. */
void ig_edge_device_write(struct ig_json_out *out, const struct ig_edge_device *device);

#endif
