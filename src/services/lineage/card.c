/* SPDX-License-Identifier: Apache-2.0 */
/* Renders model cards. A section with nothing to say is left out.
 *
 * Thread rule: stateless over the stores. */
#include "services/lineage/card_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "formats/package.h"
#include "services/approval/approval.h"
#include "services/lineage/lineage.h"
#include "services/registered/registered.h"

#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 500, TEXT_MAX = 20000, ROWS_MAX = 1000, PACKAGE_MAX_BYTES = 1 << 30 };

struct card {
    struct ig_buf *out;
    const struct ig_card_sources *sources;
    struct ig_str model;
    int64_t version;
    struct ig_arena *arena;
    struct ig_lineage lineage;
    const struct ig_registry_version *served;       /* or NULL */
    const struct ig_registered_version *registered; /* or NULL */
    const struct ig_tracking_run *run;              /* or NULL */
};

/* ---- text ---- */

/* Letters that turn the direction of what follows, U+202A to 202E and U+2066 to 2069. */
static bool turns(const char *at, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)at;
    if (length != 3 || bytes[0] != 0xe2) return false;
    return (bytes[1] == 0x80 && bytes[2] >= 0xaa && bytes[2] <= 0xae) ||
           (bytes[1] == 0x81 && bytes[2] >= 0xa6 && bytes[2] <= 0xa9);
}

static void escape_ascii(struct ig_buf *out, char c)
{
    static const char PLAIN[] = ",%/= ";
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c < ' ' || c == 0x7f)
        ig_buf_add_char(out, ' ');
    else if (c == '<')
        ig_buf_add_cstr(out, "&lt;");
    else if (c == '>')
        ig_buf_add_cstr(out, "&gt;");
    else if (c == '&')
        ig_buf_add_cstr(out, "&amp;");
    else if (c == '"')
        ig_buf_add_cstr(out, "&quot;");
    else if (letter || strchr(PLAIN, c))
        ig_buf_add_char(out, c);
    else
        ig_buf_printf(out, "\\%c", c);
}

void ig_card_escape(struct ig_buf *out, struct ig_str text, size_t bytes_max)
{
    size_t at = 0;
    while (at < text.len && at < bytes_max) {
        size_t length = ig_str_utf8_length((struct ig_str){text.ptr + at, text.len - at});
        if (length == 1 && (unsigned char)text.ptr[at] < 0x80)
            escape_ascii(out, text.ptr[at]);
        else if (length > 1 && !turns(text.ptr + at, length))
            ig_buf_add(out, text.ptr + at, length);
        at += length ? length : 1;
    }
    if (at < text.len) ig_buf_add_cstr(out, "...");
}

static void cell(struct card *card, struct ig_str text)
{
    ig_buf_add_cstr(card->out, " ");
    ig_card_escape(card->out, text, CELL_MAX);
    ig_buf_add_cstr(card->out, " |");
}

static void row(struct card *card, const char *name, struct ig_str text)
{
    if (!text.len) return;
    ig_buf_printf(card->out, "| %s |", name);
    cell(card, text);
    ig_buf_add_cstr(card->out, "\n");
}

static void row_time(struct card *card, const char *name, int64_t unix_ms)
{
    char text[IG_CLOCK_ISO_SIZE];
    if (!unix_ms) return;
    ig_clock_iso(text, unix_ms);
    ig_buf_printf(card->out, "| %s | %s |\n", name, text);
}

static void pair(struct card *card, struct ig_str name, struct ig_str text)
{
    ig_buf_add_cstr(card->out, "|");
    cell(card, name);
    cell(card, text);
    ig_buf_add_cstr(card->out, "\n");
}

static void paragraph(struct card *card, struct ig_str text)
{
    if (!ig_str_trim(text).len) return;
    ig_card_escape(card->out, ig_str_trim(text), TEXT_MAX);
    ig_buf_add_cstr(card->out, "\n\n");
}

/* The members of a JSON object that are numbers, texts or flags, as rows. */
static void rows_of_json(struct card *card, const char *title, const char *head, struct ig_str text)
{
    struct ig_err local = IG_ERR_INIT;
    struct ig_json json;
    size_t count = 0;
    ig_json_init(&json, text, card->arena, &local);
    json.allow_nan = true;
    if (!text.len || ig_json_next(&json) != IG_JSON_OBJECT) return;
    while (count < ROWS_MAX && ig_json_member(&json)) {
        struct ig_str name = json.text;
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_ARRAY || event == IG_JSON_OBJECT) ig_json_skip_open(&json);
        struct ig_str value =
            event == IG_JSON_BOOL ? ig_str_view(json.boolean ? "true" : "false") : json.text;
        if (event != IG_JSON_NUMBER && event != IG_JSON_STRING && event != IG_JSON_BOOL) continue;
        if (count++ == 0) ig_buf_printf(card->out, "## %s\n\n%s", title, head);
        pair(card, name, value);
    }
    if (count) ig_buf_add_cstr(card->out, "\n");
}

/* ---- sections ---- */

static void write_head(struct card *card)
{
    const struct ig_registered_version *registered = card->registered;
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)card->version);
    ig_buf_add_cstr(card->out, "# ");
    ig_card_escape(card->out, card->model, CELL_MAX);
    ig_buf_printf(card->out, ", version %s\n\n", number);
    if (registered) paragraph(card, registered->description);
    ig_buf_add_cstr(card->out, "| | |\n|---|---|\n");
    row_time(card, "registered", card->lineage.of.created_ms);
    row(card, "package", card->lineage.of.digest);
    if (card->served) {
        row(card, "format", card->served->format);
        row(card, "aliases", card->served->aliases);
    }
    if (registered) {
        row(card, "stage", registered->stage);
        row(card, "source", registered->source);
        for (size_t i = 0; !card->served && i < registered->aliases_count; i++)
            row(card, "alias", registered->aliases[i]);
    }
    ig_buf_add_cstr(card->out, "\n");
    if (!registered || !registered->tags.count) return;
    ig_buf_add_cstr(card->out, "## Tags\n\n| tag | value |\n|---|---|\n");
    for (size_t i = 0; i < registered->tags.count && i < ROWS_MAX; i++)
        pair(card, registered->tags.items[i].key, registered->tags.items[i].value);
    ig_buf_add_cstr(card->out, "\n");
}

static void write_feature(struct card *card, const struct ig_feature *feature)
{
    ig_buf_add_cstr(card->out, "|");
    cell(card, feature->name);
    ig_buf_printf(card->out, " %s", ig_feature_type_name(feature->type));
    if (feature->categories_count)
        ig_buf_printf(card->out, ", %u categories", feature->categories_count);
    ig_buf_printf(card->out, " | %s |\n", feature->required ? "required" : "may be missing");
}

static void write_schema(struct card *card, const struct ig_package *package)
{
    static const char *const TASKS[] = {"regression", "binary classification",
                                        "multi-class classification", "ranking"};
    const struct ig_schema *schema = &package->schema;
    ig_buf_printf(card->out, "## Inputs\n\n%u features.\n\n| feature | type | |\n|---|---|---|\n",
                  schema->features_count);
    for (uint32_t i = 0; i < schema->features_count && i < ROWS_MAX; i++)
        write_feature(card, &schema->features[i]);
    if (schema->features_count > ROWS_MAX)
        ig_buf_printf(card->out, "\nand %u more\n", schema->features_count - ROWS_MAX);
    ig_buf_printf(card->out, "\n## Output\n\n| | |\n|---|---|\n| task | %s |\n",
                  TASKS[schema->task]);
    row(card, "target", schema->target);
    for (uint32_t i = 0; i < schema->classes_count && i < ROWS_MAX; i++)
        row(card, "class", schema->classes[i]);
    ig_buf_printf(card->out, "| golden rows | %u%s |\n\n", package->golden_rows_count,
                  package->golden_rows_count ? ", reproduced for this card" : "");
}

/* A package that does not open is told, for that is what a reader has to know. */
static enum ig_code write_package(struct card *card, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf bytes;
    if (!card->served) return IG_OK;
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    if (ig_blob_read(&bytes, card->sources->blobs, card->served->digest, &local) == IG_OK &&
        ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, &local) == IG_OK) {
        write_schema(card, package);
    } else {
        ig_buf_add_cstr(card->out, "## Inputs\n\nThe package does not open: ");
        paragraph(card, ig_str_view(local.message));
    }
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    if (local.code == IG_NO_MEMORY || local.code == IG_UNAVAILABLE)
        return ig_fail(err, local.code, "%s", local.message);
    return IG_OK;
}

static void write_training(struct card *card)
{
    const struct ig_lineage_job *job = card->lineage.job;
    const struct ig_lineage_run *run = card->lineage.run;
    if (!job && !run) return;
    ig_buf_add_cstr(card->out, "## Training\n\n| | |\n|---|---|\n");
    if (job) {
        row(card, "job", job->id);
        row(card, "engine", job->engine);
        row(card, "target", job->target);
        row_time(card, "finished", job->finished_ms);
    }
    if (run) {
        row(card, "run", run->id);
        row(card, "run's name", run->name);
        row(card, "user", run->user_id);
        row_time(card, "started", run->start_ms);
    }
    row(card, "logged model", card->lineage.of.model_id);
    ig_buf_add_cstr(card->out, "\n");
    if (job)
        rows_of_json(card, "Parameters", "| parameter | value |\n|---|---|\n", job->params_json);
    if (!card->run || !card->run->params.count) return;
    ig_buf_add_cstr(card->out, "## Parameters of the run\n\n| parameter | value |\n|---|---|\n");
    for (size_t i = 0; i < card->run->params.count && i < ROWS_MAX; i++)
        pair(card, card->run->params.items[i].key, card->run->params.items[i].value);
    ig_buf_add_cstr(card->out, "\n");
}

static void write_metrics(struct card *card)
{
    if (card->served)
        rows_of_json(card, "Metrics", "| metric | value |\n|---|---|\n",
                     card->served->metrics_json);
    if (!card->run || !card->run->metrics.count) return;
    ig_buf_add_cstr(card->out,
                    "## Metrics of the run\n\n| metric | value | step |\n|---|---|---|\n");
    for (size_t i = 0; i < card->run->metrics.count && i < ROWS_MAX; i++) {
        const struct ig_tracking_metric *metric = &card->run->metrics.items[i];
        ig_buf_add_cstr(card->out, "|");
        cell(card, metric->key);
        ig_buf_printf(card->out, " %.6g | %lld |\n", metric->value, (long long)metric->step);
    }
    ig_buf_add_cstr(card->out, "\n");
}

static void write_data(struct card *card)
{
    const struct ig_lineage *lineage = &card->lineage;
    if (!lineage->datasets_count && !lineage->job) return;
    ig_buf_add_cstr(card->out, "## Data\n\n| data | digest | source |\n|---|---|---|\n");
    for (size_t i = 0; i < lineage->datasets_count; i++) {
        ig_buf_add_cstr(card->out, "|");
        cell(card, lineage->datasets[i].name);
        cell(card, lineage->datasets[i].digest);
        cell(card, lineage->datasets[i].source);
        ig_buf_add_cstr(card->out, "\n");
    }
    if (lineage->job) {
        ig_buf_add_cstr(card->out, "| training table |");
        cell(card, lineage->job->data_digest);
        cell(card, lineage->job->data_path);
        ig_buf_add_cstr(card->out, "\n");
    }
    ig_buf_add_cstr(card->out, "\n");
}

static void write_gate(struct card *card, const struct ig_gate *gate)
{
    ig_buf_add_cstr(card->out, "### Alias ");
    ig_card_escape(card->out, gate->alias, CELL_MAX);
    ig_buf_printf(card->out, ": %s\n\n| check | state | found | by |\n|---|---|---|---|\n",
                  gate->open ? "open" : "closed");
    for (size_t i = 0; i < gate->checks_count; i++) {
        const struct ig_finding *finding = &gate->findings[i];
        ig_buf_add_cstr(card->out, "|");
        cell(card, gate->checks[i].name);
        ig_buf_printf(card->out, " %s |", ig_finding_state_name(finding->state));
        cell(card, finding->detail);
        cell(card, finding->by);
        ig_buf_add_cstr(card->out, "\n");
    }
    for (size_t i = 0; i < gate->given_count; i++) {
        ig_buf_printf(card->out, "| approval | %s |",
                      gate->given[i].outdated ? "outdated" : "given");
        cell(card, gate->given[i].reason);
        cell(card, gate->given[i].by);
        ig_buf_add_cstr(card->out, "\n");
    }
    ig_buf_add_cstr(card->out, "\n");
}

/* Those that were kept; one that cannot be read any more is left out. */
static enum ig_code write_reports(struct card *card, struct ig_err *err)
{
    const struct ig_gate_subject subject = {card->model, card->version};
    for (int kind = 0; kind < IG_REPORT_KINDS_COUNT; kind++) {
        struct ig_report report;
        struct ig_report_summary summary;
        struct ig_err local = IG_ERR_INIT;
        if (ig_report_get(&report, card->sources->db, subject, (enum ig_report_kind)kind,
                          card->arena, &local) == IG_OK)
            ig_report_summarize(&summary, (enum ig_report_kind)kind, report.json, card->arena,
                                &local);
        if (local.code == IG_NOT_FOUND || local.code == IG_INVALID) continue;
        if (local.code != IG_OK) return ig_fail(err, local.code, "%s", local.message);
        if (kind == IG_REPORT_FAIRNESS)
            ig_card_fairness(card->out, &report, &summary);
        else
            ig_card_importance(card->out, &report, &summary);
    }
    return IG_OK;
}

/* Whatever was looked into and reported. */
static enum ig_code write_gates(struct card *card, struct ig_err *err)
{
    struct ig_gates gates;
    if (ig_gate_list(&gates, card->sources->db, card->model, card->version, card->arena, err) !=
        IG_OK)
        return err->code;
    if (gates.count) ig_buf_add_cstr(card->out, "## Checks and approvals\n\n");
    for (size_t i = 0; i < gates.count; i++) write_gate(card, &gates.items[i]);
    return IG_OK;
}

static enum ig_code write_explanations(struct card *card, struct ig_err *err)
{
    struct ig_background_list list;
    if (!card->served) return IG_OK;
    if (ig_backgrounds_list(&list, card->sources->backgrounds, card->model, card->arena, err) !=
        IG_OK)
        return err->code;
    if (!list.count) return IG_OK;
    ig_buf_add_cstr(card->out, "## Explanations\n\nBackgrounds that they compare with:\n\n"
                               "| background | rows | digest |\n|---|---|---|\n");
    for (size_t i = 0; i < list.count && i < ROWS_MAX; i++) {
        ig_buf_add_cstr(card->out, "|");
        cell(card, list.items[i].name);
        ig_buf_printf(card->out, " %lld |", (long long)list.items[i].rows_count);
        cell(card, list.items[i].digest);
        ig_buf_add_cstr(card->out, "\n");
    }
    ig_buf_add_cstr(card->out, "\n");
    return IG_OK;
}

static void write_uses(struct card *card)
{
    const struct ig_lineage_version *of = &card->lineage.of;
    if (!of->uses_count) return;
    ig_buf_add_cstr(card->out, "## Deployments\n\n| deployment | revision | |\n|---|---|---|\n");
    for (size_t i = 0; i < of->uses_count; i++) {
        ig_buf_add_cstr(card->out, "|");
        cell(card, of->uses[i].deployment);
        ig_buf_printf(card->out, " %lld | %s |\n", (long long)of->uses[i].revision,
                      of->uses[i].current ? "serves now" : "before");
    }
    ig_buf_add_cstr(card->out, "\n");
}

/* ---- all of it ---- */

/* What there is of the version; of a run that was removed nothing is left. */
static enum ig_code gather(struct card *card, struct ig_err *err)
{
    const struct ig_card_sources *sources = card->sources;
    struct ig_err local = IG_ERR_INIT;
    char number[32];
    struct ig_registry_version *served = ig_arena_alloc(card->arena, sizeof *served);
    struct ig_registered_version *registered = ig_arena_alloc(card->arena, sizeof *registered);
    struct ig_tracking_run *run = ig_arena_alloc(card->arena, sizeof *run);
    if (!served || !registered || !run) return ig_fail(err, IG_NO_MEMORY, "card");
    if (ig_lineage_get(&card->lineage, sources->db, card->model, card->version, card->arena, err) !=
        IG_OK)
        return err->code;
    snprintf(number, sizeof number, "%lld", (long long)card->version);
    if (card->lineage.of.digest.len &&
        ig_registry_version_get(served, sources->registry, card->model, card->version, card->arena,
                                err) == IG_OK)
        card->served = served;
    if (err->code == IG_OK &&
        ig_registered_version_get(registered, sources->db, card->model, ig_str_view(number),
                                  card->arena, &local) == IG_OK)
        card->registered = registered;
    else if (local.code != IG_NOT_FOUND && local.code != IG_OK)
        ig_fail(err, local.code, "%s", local.message);
    if (err->code == IG_OK && card->lineage.run &&
        ig_tracking_run_get(run, sources->tracking, card->lineage.run->id, card->arena, err) ==
            IG_OK)
        card->run = run;
    return err->code;
}

enum ig_code ig_card_write(struct ig_buf *out, const struct ig_card_sources *sources,
                           struct ig_str model, int64_t version, struct ig_arena *arena,
                           struct ig_err *err)
{
    struct card card = {
        .out = out, .sources = sources, .model = model, .version = version, .arena = arena};
    if (gather(&card, err) != IG_OK) return err->code;
    write_head(&card);
    if (write_package(&card, err) != IG_OK) return err->code;
    write_training(&card);
    write_metrics(&card);
    write_data(&card);
    if (write_reports(&card, err) != IG_OK || write_gates(&card, err) != IG_OK ||
        write_explanations(&card, err) != IG_OK)
        return err->code;
    write_uses(&card);
    if (out->overflowed)
        return ig_fail(err, IG_TOO_LARGE, "the card is over %zu bytes", out->max_bytes);
    return IG_OK;
}
