/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRAINER_XGBOOST_H
#define IG_APP_TRAINER_XGBOOST_H

/* Boosting through libxgboost's C API, loaded by dlopen in the training child only. */

#include "services/job/job_spec.h"
#include "services/job/train_data.h"

struct ig_trainer;

/* Loads the library and builds its matrices. UNSUPPORTED when the library is not there. `data` and
 * `params` are borrowed. */
enum ig_code ig_trainer_open(struct ig_trainer **out, const struct ig_train_data *data,
                             const struct ig_train_params *params, struct ig_err *err);
/* What another model says of rows, to learn instead of the table's labels. */
struct ig_trainer_lesson {
    const double *rows; /* rows_count x features of the schema */
    size_t rows_count;
    const float *answers; /* rows_count x classes: probabilities; of two classes that of the second;
                             of a regression the number */
};
/* The same, but that the rows of training are the lesson's, which is borrowed. The validation's are
 * the table's, with its labels. Soft labels of several classes are learnt through gradients of this
 * program's own: the others are what the library takes for labels. */
enum ig_code ig_trainer_open_taught(struct ig_trainer **out, const struct ig_train_data *data,
                                    const struct ig_train_params *params,
                                    const struct ig_trainer_lesson *lesson, struct ig_err *err);
void ig_trainer_close(struct ig_trainer *trainer);                /* NULL is allowed */
const char *ig_trainer_version(const struct ig_trainer *trainer); /* "1.7.4" */

/* Called after each round with the library's own evaluation; `validation` is NaN without one. */
struct ig_trainer_round {
    int64_t round, rounds; /* 1-based, at most */
    const char *metric;    /* "logloss", "mlogloss", "rmse" */
    double train, validation;
};
typedef void ig_trainer_report(void *context, const struct ig_trainer_round *round);
/* Boosts; stops early; keeps the best rounds only. *kept = their number. */
enum ig_code ig_trainer_run(int64_t *kept, struct ig_trainer *trainer, ig_trainer_report *report,
                            void *context, struct ig_err *err);
/* The model file, borrowed until the next call. */
enum ig_code ig_trainer_save(struct ig_str *model, struct ig_trainer *trainer, struct ig_err *err);
/* rows (of the table) x outputs into `values`, room for rows_count x outputs_max; as margins or
 * after the objective's transform. *outputs = values a row. */
struct ig_trainer_request {
    const size_t *rows;
    size_t rows_count;
    bool margin;
};
enum ig_code ig_trainer_predict(size_t *outputs, double *values, size_t outputs_max,
                                struct ig_trainer *trainer,
                                const struct ig_trainer_request *request, struct ig_err *err);

#endif
