/* SPDX-License-Identifier: Apache-2.0 */
/* The ingot command: one verb a run. See commands.def for the verbs. `train-child` and `replica`
 * are none of them: the server alone starts those. */
#include "cli.h"
#include "train_child.h"

#include "services/deploy/replica_child.h"

int main(int argc, char **argv)
{
    int64_t parent = 0;
    if (argc == 3 && ig_str_to_i64(ig_str_view(argv[2]), &parent)) {
        struct ig_str verb = ig_str_view(argv[1]);
        if (ig_str_is(verb, "train-child")) return ig_train_child((long)parent);
        if (ig_str_is(verb, "replica")) return ig_replica_child((long)parent);
    }
    return ig_cli_main(argc, argv);
}
