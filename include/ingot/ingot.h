/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_INGOT_H
#define INGOT_INGOT_H

/* libingot: load tree-ensemble and linear models, score rows, explain scores exactly.
 *
 *     struct ingot_error error = {0};
 *     struct ingot_model *model;
 *     if (ingot_model_open_file(&model, "model.json", NULL, &error)) puts(error.message);
 *     struct ingot_workspace *work = ingot_workspace_new(model, 1);
 *     double row[3] = {39, 0, NAN}, score;
 *     ingot_predict(model, work, row, 1, &score);
 *
 * Rows are row-major doubles in model feature order; NaN is a missing value, a category is its code
 * (ingot_model_category_code). All results are written to the caller's arrays.
 *
 * ONNX graphs with operators that are not Ingot's own are run by ONNX Runtime, loaded where the
 * system has it; INGOT_ONNX_ENGINE=ingot in the environment keeps it out (docs/package.md).
 *
 * Threads: a model is immutable and may be used by any number of threads; a workspace belongs to
 * one thread at a time. Ownership: every `_new` and `_open` is ended by the `_free` of its kind;
 * returned strings belong to the model and live as long as it. Nothing is written to an output on
 * failure. Option structs begin with their size, so that they can grow. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_API __attribute__((visibility("default")))

enum ingot_code {
    INGOT_OK = 0,
    INGOT_INVALID = 1,     /* a wrong argument, or a malformed or inconsistent file */
    INGOT_NOT_FOUND = 2,   /* no such file */
    INGOT_NO_MEMORY = 3,   /* memory or a size limit is exhausted */
    INGOT_IO = 4,          /* the operating system refused */
    INGOT_UNSUPPORTED = 5, /* a valid file that this build cannot run */
    INGOT_CORRUPT = 6,     /* a golden row or checksum of the package does not match */
    INGOT_FAILED = 7,      /* ONNX Runtime, which runs this model, failed on a row */
};

struct ingot_error {
    enum ingot_code code;
    int64_t position;  /* byte of the file where parsing failed, else -1 */
    char message[512]; /* names what was wrong and what was expected */
};

struct ingot_model;     /* a model, ready to run */
struct ingot_workspace; /* scratch memory of one thread */

struct ingot_options {
    uint32_t size;           /* sizeof(struct ingot_options) */
    uint32_t reserved;       /* 0 */
    uint64_t file_max_bytes; /* largest file to accept; 0: 2 GiB */
};

/* "0.1.0"; a constant. */
INGOT_API const char *ingot_version(void);

/* Opens a package (directory or zip) or a bare model file (XGBoost JSON or UBJSON, LightGBM text).
 * A package's golden rows are checked. `options` may be NULL; `error` may be NULL. */
INGOT_API enum ingot_code ingot_model_open_file(struct ingot_model **out, const char *path,
                                                const struct ingot_options *options,
                                                struct ingot_error *error);
/* The same from memory (zip or model file); `bytes` is needed during the call only. */
INGOT_API enum ingot_code ingot_model_open_bytes(struct ingot_model **out, const void *bytes,
                                                 size_t size, const struct ingot_options *options,
                                                 struct ingot_error *error);
INGOT_API void ingot_model_free(struct ingot_model *model); /* NULL is allowed */

INGOT_API uint32_t ingot_model_features_count(const struct ingot_model *model);
INGOT_API uint32_t ingot_model_outputs_count(const struct ingot_model *model); /* margins a row */
/* Values a row after the objective's transform. */
INGOT_API uint32_t ingot_model_predictions_count(const struct ingot_model *model);
INGOT_API const char *ingot_model_format(const struct ingot_model *model); /* "xgboost-json" */
/* SHA-256 of the model file, 64 hexadecimal digits. */
INGOT_API const char *ingot_model_digest(const struct ingot_model *model);

/* NULL when `feature` is out of range. */
INGOT_API const char *ingot_model_feature_name(const struct ingot_model *model, uint32_t feature);
/* -1 when no feature has that name. */
INGOT_API int32_t ingot_model_feature_index(const struct ingot_model *model, const char *name);
/* Code of a category's text; -1 when the feature does not know it. A row may carry -1: it then
 * belongs to no category set. */
INGOT_API int32_t ingot_model_category_code(const struct ingot_model *model, uint32_t feature,
                                            const char *category);
/* 0 when the model names no classes. */
INGOT_API uint32_t ingot_model_classes_count(const struct ingot_model *model);
INGOT_API const char *ingot_model_class_name(const struct ingot_model *model, uint32_t class_index);

/* Scratch for calls of up to rows_max rows of this model; NULL when memory is out or rows_max 0. */
INGOT_API struct ingot_workspace *ingot_workspace_new(const struct ingot_model *model,
                                                      size_t rows_max);
INGOT_API void ingot_workspace_free(struct ingot_workspace *work); /* NULL is allowed */

/* Scores as the source library's predict: predictions[rows_count x predictions_count]. INVALID when
 * rows_count exceeds the workspace's rows_max or the workspace is of another model. */
INGOT_API enum ingot_code ingot_predict(const struct ingot_model *model,
                                        struct ingot_workspace *work, const double *rows,
                                        size_t rows_count, double *predictions);
/* Scores before the transform, bit-equal to the source library: margins[rows_count x
 * outputs_count]. */
INGOT_API enum ingot_code ingot_margin(const struct ingot_model *model,
                                       struct ingot_workspace *work, const double *rows,
                                       size_t rows_count, double *margins);
/* Exact SHAP values in margin units: contributions[rows_count x outputs_count x (features_count +
 * 1)], the base value last in each output's block. additivity_errors[rows_count], unless NULL,
 * receives each row's greatest |sum of contributions - margin|. UNSUPPORTED for models with linear
 * leaves. */
INGOT_API enum ingot_code ingot_explain(const struct ingot_model *model,
                                        struct ingot_workspace *work, const double *rows,
                                        size_t rows_count, double *contributions,
                                        double *additivity_errors);

/* importances[features_count] as training left them in the trees; kind: "split", "gain",
 * "total_gain", "cover", "total_cover" (docs/explanations.md). INVALID: an unknown kind.
 * UNSUPPORTED: not of trees, or the file gives no gains or covers. `error` may be NULL. */
INGOT_API enum ingot_code ingot_importance(const struct ingot_model *model, const char *kind,
                                           double *importances, struct ingot_error *error);
/* importances[groups_count] of groups of features, each as if its features were one: sums over the
 * group's splits, or their mean. group_of_feature[features_count]; INVALID besides: a group that is
 * not below groups_count. */
INGOT_API enum ingot_code ingot_importance_groups(const struct ingot_model *model, const char *kind,
                                                  const uint32_t *group_of_feature,
                                                  uint32_t groups_count, double *importances,
                                                  struct ingot_error *error);

enum ingot_interactions {
    INGOT_HALVED = 0, /* half of it, so that rows add up to contributions */
    INGOT_WHOLE = 1,  /* all of it */
};

/* Any explanation method, prepared once for a model, a background and groups of features; immutable
 * and shared by threads, it borrows the model. docs/explanations.md tells the methods. */
struct ingot_explainer;

struct ingot_explainer_options {
    uint32_t size;            /* sizeof(struct ingot_explainer_options) */
    uint32_t probability;     /* 1: explain predictions, not margins */
    const char *method;       /* "tree_interventional"; NULL: the exact one for what is given */
    const double *background; /* background_rows x features_count; NULL: none */
    uint64_t background_rows;
    const uint32_t *group_of_feature; /* features_count numbers < groups_count; NULL: none */
    uint64_t groups_count;
    uint64_t memory_max_bytes; /* of tables; 0: 512 MiB */
    /* Time of one row; 0: none. Without a method the best that fits is taken; a method that samples
     * stops then. */
    uint64_t budget_us;
    /* Of interactions, what each cell beside the diagonal tells of its pair's effect. INVALID with
     * INGOT_WHOLE: a method that gives none. */
    uint32_t interactions; /* enum ingot_interactions */
    uint32_t reserved;     /* 0 */
};

/* INVALID: an unknown method, one that does not go with the background, groups or unit, a budget
 * that is too small for it (without a method: for every one).
 * UNSUPPORTED: the model has no such explanation. `error` may be NULL. */
INGOT_API enum ingot_code ingot_explainer_new(struct ingot_explainer **out,
                                              const struct ingot_model *model,
                                              const struct ingot_explainer_options *options,
                                              struct ingot_error *error);
INGOT_API void ingot_explainer_free(struct ingot_explainer *explainer); /* NULL is allowed */
INGOT_API const char *ingot_explainer_method(const struct ingot_explainer *explainer);
/* With a budget: why this method; else "". */
INGOT_API const char *ingot_explainer_chosen(const struct ingot_explainer *explainer);
INGOT_API uint32_t ingot_explainer_players_count(const struct ingot_explainer *explainer);
/* Values explained a row: the model's outputs, its predictions, or (surrogates) one. */
INGOT_API uint32_t ingot_explainer_values_count(const struct ingot_explainer *explainer);

/* What a method gives for a row, for each value explained. */
enum ingot_form {
    INGOT_ADDITIVE = 0,       /* players_count contributions, then the base value; they add up */
    INGOT_INTERACTIONS = 1,   /* (players_count + 1)^2: the matrix row by row, base value last */
    INGOT_SURROGATE = 2,      /* players_count coefficients (0: not chosen), then the intercept */
    INGOT_COUNTERFACTUAL = 3, /* features_count: the nearest row with another answer, else NaN */
};
INGOT_API enum ingot_form ingot_explainer_form(const struct ingot_explainer *explainer);
/* Numbers a row of explanation.values has. */
INGOT_API size_t ingot_explainer_row_size(const struct ingot_explainer *explainer);

/* Which counterfactuals: what answer is wanted, what may change. Zeros: another answer, any change.
 */
struct ingot_wish {
    uint32_t size;              /* sizeof(struct ingot_wish) */
    uint32_t wanted_class;      /* 1 + its number; 0: another than the predicted one */
    uint32_t has_low, has_high; /* bounds of the prediction wanted, inclusive */
    double low, high;
    /* features_count texts (NULL: none) as the command line's --constraint takes them behind the
     * `=`: "immutable", "up,0..200,step:5"; or NULL */
    const char *const *constraints;
    double change_price;  /* distance that each change adds */
    uint32_t changes_max; /* 0: any number */
    uint32_t reserved;    /* 0 */
};

struct ingot_sampling {
    uint32_t size;                 /* sizeof(struct ingot_sampling) */
    uint32_t surrogate_features;   /* of LIME's model; 0: 10 */
    uint64_t seed;                 /* 0: from each row and the method */
    uint64_t samples;              /* coalitions or samples to ask for; 0: the method's default */
    double target_se;              /* stop when every standard error is at most this; 0: never */
    uint32_t output;               /* surrogates: 1 + the output explained; 0: the predicted one */
    uint32_t reserved;             /* 0 */
    const struct ingot_wish *wish; /* counterfactuals; or NULL */
};

/* Where a run writes: the caller's arrays. */
struct ingot_explanation {
    uint32_t size;             /* sizeof(struct ingot_explanation) */
    uint32_t reserved;         /* 0 */
    double *values;            /* rows_count x row_size */
    double *standard_errors;   /* the same shape, 0 where a method is exact; or NULL */
    double *additivity_errors; /* rows_count: greatest |sum - value|; or NULL */
    struct ingot_fit *fits;    /* rows_count, of surrogates; or NULL */
    double *distances;         /* rows_count, of counterfactuals, infinite where none; or NULL */
};

/* How a surrogate fits the model around a row. */
struct ingot_fit {
    double explained; /* the model's value */
    double local;     /* the surrogate's */
    double r2;        /* weighted, on the samples; NaN without samples */
    double stability; /* mean Jaccard index of the features chosen by eighths of the sample */
    uint32_t output;  /* which of the model's outputs */
    uint32_t reserved;
};

/* `sampling` may be NULL. Allocates for the call. INVALID: an option out of range, a constraint
 * that is none. */
INGOT_API enum ingot_code ingot_explainer_run(const struct ingot_explainer *explainer,
                                              const double *rows, size_t rows_count,
                                              const struct ingot_sampling *sampling,
                                              const struct ingot_explanation *out,
                                              struct ingot_error *error);

#ifdef __cplusplus
}
#endif

#endif
