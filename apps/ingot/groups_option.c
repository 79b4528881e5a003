/* SPDX-License-Identifier: Apache-2.0 */
#include "groups_option.h"

enum ig_code ig_groups_option(struct ig_groups *out, const struct ig_cli *cli,
                              const struct ig_schema *schema, struct ig_arena *arena,
                              struct ig_err *err)
{
    struct ig_groups_builder builder;
    const char *item;
    if (ig_groups_begin(&builder, schema, arena, err) != IG_OK) return err->code;
    for (size_t i = 0; (item = ig_cli_item(cli, "group", i)); i++) {
        struct ig_str rest = ig_str_view(item), name = ig_str_cut(&rest, '=');
        if (ig_groups_add(&builder, name, err) != IG_OK) return err->code;
        while (rest.len)
            if (ig_groups_add_feature(&builder, ig_str_cut(&rest, ','), err) != IG_OK)
                return err->code;
    }
    return ig_groups_end(out, &builder, err);
}
