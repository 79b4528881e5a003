/* SPDX-License-Identifier: Apache-2.0 */
/* The ingot command: one verb a run. See commands.def for the verbs; `train-child` is not one of
 * them: the job supervisor alone starts it. */
#include "cli.h"
#include "train_child.h"

int main(int argc, char **argv)
{
    int64_t parent = 0;
    if (argc == 3 && ig_str_is(ig_str_view(argv[1]), "train-child") &&
        ig_str_to_i64(ig_str_view(argv[2]), &parent))
        return ig_train_child((long)parent);
    return ig_cli_main(argc, argv);
}
