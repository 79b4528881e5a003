/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_NUM_H
#define IG_BASE_NUM_H

/* Exact, locale-free conversion between text and floating point. Thread-safe. */

#include "base/str.h"

enum { IG_NUM_TEXT_MAX = 40 }; /* room for the longest text either writer makes, with NUL */

/* Correctly rounded decimal to double (round half to even). Accepts
 * [+-]digits[.digits][e[+-]digits], "nan", "inf", "infinity" in any case. The whole text must
 * match; false leaves *out untouched. */
bool ig_num_parse_f64(struct ig_str text, double *out);
/* The number of JSON that begins at `at`, when it is written as most are: no exponent, at most 19
 * digits. Returns the byte behind it; NULL: read it otherwise, *out is untouched. */
const char *ig_num_scan_f64(const char *at, const char *end, double *out);
/* As ig_num_parse_f64, rounded once to float (no double rounding). */
bool ig_num_parse_f32(struct ig_str text, float *out);

/* The greatest double that rounds to a float of at most `bound`, and whether it does itself:
 * halfway to the next float goes to the even one. */
double ig_num_last_to_f32(float bound, bool *included);
/* Shortest decimal that reads back as the same value; returns its length. Infinities and NaN give
 * "inf",
 * "-inf", "nan"; JSON writers must handle those before. */
size_t ig_num_format_f64(char text[IG_NUM_TEXT_MAX], double value);
size_t ig_num_format_f32(char text[IG_NUM_TEXT_MAX], float value);
size_t ig_num_format_i64(char text[IG_NUM_TEXT_MAX], int64_t value);

#endif
