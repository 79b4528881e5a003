/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot version`. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

int ig_cmd_version(const struct ig_cli *cli)
{
    if (strcmp(ig_cli_text(cli, "format"), "json") == 0)
        puts("{\"name\":\"ingot\",\"version\":\"" INGOT_VERSION "\"}");
    else
        puts("ingot " INGOT_VERSION);
    return IG_EXIT_OK;
}
