/* SPDX-License-Identifier: Apache-2.0 */
/* What a card says of reports of fairness and importance. Thread rule: stateless. */
#include "services/lineage/card_priv.h"

#include "base/clock.h"
#include "base/num.h"

#include <math.h>
#include <stdio.h>

enum { CELL_MAX = 120 };

static void cell(struct ig_buf *out, struct ig_str text)
{
    ig_buf_add_char(out, ' ');
    ig_card_escape(out, text, CELL_MAX);
    ig_buf_add_cstr(out, " |");
}

/* "0.198 (0.189 to 0.207)" */
static void rate(struct ig_buf *out, const struct ig_report_rate *rate)
{
    if (!rate->known)
        ig_buf_add_cstr(out, " |");
    else if (isfinite(rate->low) && isfinite(rate->high))
        ig_buf_printf(out, " %.4g (%.4g to %.4g) |", rate->value, rate->low, rate->high);
    else
        ig_buf_printf(out, " %.4g |", rate->value);
}

static void write_origin(struct ig_buf *out, const struct ig_report *report, int64_t rows)
{
    char time[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(time, report->at_ms);
    if (rows > 0) ig_buf_printf(out, "Of a table of %lld rows; kept ", (long long)rows);
    ig_buf_printf(out, "%son %s by ", rows > 0 ? "" : "Kept ", time);
    ig_card_escape(out, report->by, CELL_MAX);
    ig_buf_add_cstr(out, report->outdated ? ", **of another package than the version's now**.\n\n"
                                          : ".\n\n");
}

void ig_card_fairness(struct ig_buf *out, const struct ig_report *report,
                      const struct ig_report_summary *summary)
{
    ig_buf_add_cstr(out, "## Fairness\n\n");
    write_origin(out, report, summary->rows);
    ig_buf_add_cstr(out, "Favourable: ");
    ig_card_escape(out, summary->positive, CELL_MAX);
    ig_buf_add_cstr(out,
                    ". Differences with 95% intervals.\n\n| protected | selected most, least | "
                    "demographic parity | equalised odds | four fifths |\n"
                    "|---|---|---|---|---|\n");
    for (size_t i = 0; i < summary->columns_count; i++) {
        const struct ig_report_column *column = &summary->columns[i];
        ig_buf_add_cstr(out, "|");
        cell(out, column->name);
        ig_buf_add_char(out, ' ');
        ig_card_escape(out, column->most, CELL_MAX);
        ig_buf_add_cstr(out, column->most.len ? ", " : "");
        ig_card_escape(out, column->least, CELL_MAX);
        ig_buf_add_cstr(out, " |");
        rate(out, &column->parity);
        rate(out, &column->odds);
        cell(out, column->four_fifths);
        ig_buf_add_char(out, '\n');
    }
    ig_buf_add_char(out, '\n');
}

void ig_card_importance(struct ig_buf *out, const struct ig_report *report,
                        const struct ig_report_summary *summary)
{
    ig_buf_add_cstr(out, "## Importance of features\n\n");
    write_origin(out, report, summary->rows);
    ig_buf_add_cstr(out, "| feature | ");
    ig_card_escape(out, summary->kind.len ? summary->kind : IG_STR("importance"), CELL_MAX);
    ig_buf_add_cstr(out, " |\n|---|---|\n");
    for (size_t i = 0; i < summary->features_count; i++) {
        ig_buf_add_cstr(out, "|");
        cell(out, summary->features[i].name);
        rate(out, &summary->features[i].importance);
        ig_buf_add_char(out, '\n');
    }
    ig_buf_add_char(out, '\n');
}
