/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge export`: a model in the format of another runtime, or as C source. */
#include "cmd_edge.h"

#include "model_source.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX };

/* What --format says, else the output's ending; false when neither tells. */
static bool wanted(enum ig_edge_format *out, const struct ig_cli *cli)
{
    struct ig_str format = ig_str_view(ig_cli_text(cli, "format"));
    struct ig_err ignored = IG_ERR_INIT;
    if (ig_str_is(format, "auto"))
        return ig_edge_format_of_file(out, ig_str_view(ig_cli_text(cli, "output")));
    return ig_edge_format_parse(out, format, &ignored) == IG_OK;
}

int ig_cmd_edge_export(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf out;
    struct ig_edge_export options = {.name = ig_str_view(ig_cli_text(cli, "name")),
                                     .strip_names = ig_cli_flag(cli, "strip-names")};
    if (!wanted(&options.format, cli))
        return ig_cli_usage(cli, "--output %s: its ending names no format; give --format",
                            ig_cli_text(cli, "output"));
    ig_buf_init(&out, FILE_MAX);
    if (ig_model_source_open_uri(&package, cli, cli->operands[0], &err) == IG_OK &&
        ig_cmd_edge_choice(&options.choice, cli, options.format, package, &err) == IG_OK &&
        ig_edge_export_write(&out, package, &options, &err) == IG_OK &&
        ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&out), &err) ==
            IG_OK &&
        ig_edge_export_encoded(package, options.format))
        printf("its inputs are encoded ones: --format encoder writes what makes them\n");
    ig_package_free(package);
    ig_buf_deinit(&out);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}
