/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge prune`: a smaller tree model of the same form (services/edge/edge_prune.h). */
#include "cmd_edge.h"

#include "model_source.h"

#include "base/file.h"
#include "services/edge/edge_prune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX };

static enum ig_edge_prune_form form_of(struct ig_str output)
{
    if (ig_str_ends(output, IG_STR(".ige"))) return IG_EDGE_PRUNE_COMPACT;
    return ig_str_ends(output, IG_STR(".json")) ? IG_EDGE_PRUNE_XGBOOST : IG_EDGE_PRUNE_PACKAGE;
}

static enum ig_code read_options(struct ig_edge_prune *options, struct ig_buf *csv,
                                 const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_edge_choice choice;
    const char *input = ig_cli_text(cli, "input"), *loss = ig_cli_text(cli, "loss-at-most");
    *options = (struct ig_edge_prune){.target = ig_str_view(ig_cli_text(cli, "target")),
                                      .form = form_of(ig_str_view(ig_cli_text(cli, "output"))),
                                      .leaves_max = ig_cli_count(cli, "leaves-at-most"),
                                      .bytes_max = ig_cli_count(cli, "bytes-at-most"),
                                      .loss_max = (double)NAN,
                                      .whole_trees = ig_cli_flag(cli, "drop-trees"),
                                      .refit = ig_cli_flag(cli, "refit")};
    if (ig_edge_choice_parse(&choice, ig_str_view(ig_cli_text(cli, "leaves")), IG_STR(""), err) !=
        IG_OK)
        return err->code;
    options->leaves = choice.leaves;
    if (loss && !ig_str_to_f64(ig_str_view(loss), &options->loss_max))
        return ig_fail(err, IG_INVALID, "--loss-at-most: '%s' is no number", loss);
    if (!input) return IG_OK;
    if (ig_file_read(csv, IG_FILE_CWD, input, err) != IG_OK) ig_err_prefix(err, "--input");
    options->csv = csv->len ? ig_buf_view(csv) : IG_STR("");
    return err->code;
}

static void print_text(const struct ig_edge_pruned *pruned)
{
    const struct ig_edge_prune_side *a = &pruned->before, *b = &pruned->after;
    printf("                  before        after\n");
    printf("trees       %12u %12u\nleaves      %12u %12u\n", a->trees, b->trees, a->leaves,
           b->leaves);
    printf("compact     %12llu %12llu bytes\n", (unsigned long long)a->bytes,
           (unsigned long long)b->bytes);
    if (!isnan(a->loss)) printf("loss        %12.6g %12.6g\n", a->loss, b->loss);
    if (!isnan(a->accuracy)) printf("accuracy    %12.6g %12.6g\n", a->accuracy, b->accuracy);
    if (pruned->judge_rows)
        printf("%zu rows decided, %zu others judged\n", pruned->fit_rows, pruned->judge_rows);
}

static void print_json(const struct ig_edge_pruned *pruned)
{
    struct ig_json_out out;
    struct ig_buf buf;
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_edge_pruned_write(&out, pruned);
    ig_json_out_object_end(&out);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

static int ends_given(const struct ig_cli *cli)
{
    return ig_cli_given(cli, "leaves-at-most") + ig_cli_given(cli, "bytes-at-most") +
           ig_cli_given(cli, "loss-at-most");
}

static enum ig_code prune(struct ig_edge_pruned *pruned, const struct ig_cli *cli,
                          struct ig_err *err)
{
    struct ig_package *package = NULL;
    struct ig_edge_prune options;
    struct ig_buf csv;
    ig_buf_init(&csv, FILE_MAX);
    if (read_options(&options, &csv, cli, err) == IG_OK &&
        ig_model_source_open_uri(&package, cli, cli->operands[0], err) == IG_OK &&
        ig_edge_prune_run(pruned, package, &options, err) == IG_OK)
        ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&pruned->file), err);
    ig_package_free(package);
    ig_buf_deinit(&csv);
    return err->code;
}

int ig_cmd_edge_prune(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_edge_pruned pruned = {0};
    static const char *const COUNTS[] = {"leaves-at-most", "bytes-at-most"};
    if (ends_given(cli) > 1)
        return ig_cli_usage(cli, "--leaves-at-most, --bytes-at-most and --loss-at-most exclude "
                                 "each other");
    for (int i = 0; i < 2; i++)
        if (ig_cli_given(cli, COUNTS[i]) && !ig_cli_count(cli, COUNTS[i]))
            return ig_cli_usage(cli, "--%s is 0, expected at least 1", COUNTS[i]);
    if (ig_cli_given(cli, "target") && !ig_cli_given(cli, "input"))
        return ig_cli_usage(cli, "--target is a column of --input");
    if (ig_cli_flag(cli, "refit") && !ig_cli_given(cli, "input"))
        return ig_cli_usage(cli, "--refit needs the rows of --input");
    if (!ig_cli_given(cli, "input") && ig_cli_given(cli, "loss-at-most"))
        return ig_cli_usage(cli, "--loss-at-most is of the rows of --input");
    if (!ig_cli_given(cli, "input") && !ends_given(cli))
        return ig_cli_usage(
            cli, "without --input, --leaves-at-most or --bytes-at-most says when to end");
    prune(&pruned, cli, &err);
    if (err.code == IG_OK && strcmp(ig_cli_text(cli, "format"), "json") == 0)
        print_json(&pruned);
    else if (err.code == IG_OK)
        print_text(&pruned);
    ig_edge_pruned_deinit(&pruned);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
