/* SPDX-License-Identifier: Apache-2.0 */
/* Places and keys, and what is refused of them. */
#include "stores/s3_config.h"

#include "stores/temp_testing.h"

static void clear(void)
{
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_PROFILE");
}

static void test_places(void **state)
{
    static const struct {
        const char *url, *endpoint, *host, *prefix, *region;
        bool path_style;
    } cases[] = {
        {"s3://models", "https://models.s3.us-east-1.amazonaws.com",
         "models.s3.us-east-1.amazonaws.com", "", "us-east-1", false},
        {"s3://models/a/B_c.1/?region=eu-central-1", "https://models.s3.eu-central-1.amazonaws.com",
         "models.s3.eu-central-1.amazonaws.com", "a/B_c.1/", "eu-central-1", false},
        {"s3://my.models/", "https://s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com", "",
         "us-east-1", true}, /* no certificate covers a name with a dot more */
        {"s3://models/p?endpoint=http://127.0.0.1:9000&path_style=true", "http://127.0.0.1:9000",
         "127.0.0.1:9000", "p/", "us-east-1", true},
        {"s3://models/p?path_style=false&endpoint=http://minio.local:9000&region=x",
         "http://models.minio.local:9000", "models.minio.local:9000", "p/", "x", false},
    };
    struct ig_err err = IG_ERR_INIT;
    struct ig_s3_place place;
    (void)state;
    clear();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ASSERT_OK(ig_s3_place_parse(&place, cases[i].url, &err));
        assert_string_equal(place.endpoint, cases[i].endpoint);
        assert_string_equal(place.host, cases[i].host);
        assert_string_equal(place.prefix, cases[i].prefix);
        assert_string_equal(place.region, cases[i].region);
        assert_int_equal(place.path_style, cases[i].path_style);
    }
    setenv("AWS_DEFAULT_REGION", "ap-south-1", 1);
    ASSERT_OK(ig_s3_place_parse(&place, "s3://models", &err));
    assert_string_equal(place.region, "ap-south-1");
    setenv("AWS_REGION", "sa-east-1", 1);
    ASSERT_OK(ig_s3_place_parse(&place, "s3://models", &err));
    assert_string_equal(place.region, "sa-east-1");
}

static void test_places_refused(void **state)
{
    static const struct {
        const char *url, *words;
    } cases[] = {
        {"s3:/models", "does not begin with s3://"},
        {"s3://", "bucket ''"},
        {"s3://ab", "bucket 'ab'"},
        {"s3://Models", "bucket 'Models'"},
        {"s3://a..b", "bucket 'a..b'"},
        {"s3://-ab", "bucket '-ab'"},
        {"s3://../x", "bucket '..'"},
        {"s3://user:secret@models", "no keys in the URL"},
        {"s3://models/a//b", "prefix 'a//b'"},
        {"s3://models/a/../b", "prefix 'a/../b'"},
        {"s3://models/a b", "prefix 'a b'"},
        {"s3://models/a%2fb", "prefix"},
        {"s3://models?region=", "region ''"},
        {"s3://models?region=a/b", "region 'a/b'"},
        {"s3://models?path_style=yes", "path_style 'yes'"},
        {"s3://models?endpoint=127.0.0.1:9000", "endpoint '127.0.0.1:9000'"},
        {"s3://models?endpoint=http://", "endpoint"},
        {"s3://models?endpoint=http://h/p", "endpoint"},
        {"s3://models?endpoint=http://u:p@h", "endpoint"},
        {"s3://models?endpoint=file:///etc", "endpoint"},
        {"s3://models?secret=x", "'secret' is unknown"},
    };
    struct ig_err err = IG_ERR_INIT;
    struct ig_s3_place place;
    char url[2000] = "s3://models/";
    (void)state;
    clear();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ASSERT_FAILS(ig_s3_place_parse(&place, cases[i].url, &err), IG_INVALID, cases[i].words);
    memset(url + 12, 'p', 600);
    ASSERT_FAILS(ig_s3_place_parse(&place, url, &err), IG_INVALID, "prefix 'ppp");
}

static void test_keys(void **state)
{
    static const char FILE_TEXT[] = "# a comment\n[default]\naws_access_key_id = AKIA1\r\n"
                                    "aws_secret_access_key=s/1+=\n\n[ other ]\n; another\n"
                                    "region = x\naws_access_key_id=AKIA2\n"
                                    "aws_secret_access_key = s2\naws_session_token=t2\n[half]\n"
                                    "aws_access_key_id=AKIA3\n";
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_s3_keys keys;
    char path[100];
    (void)state;
    clear();
    assert_true(ig_s3_keys_parse(&keys, ig_str_view(FILE_TEXT), IG_STR("default")));
    assert_string_equal(keys.access_key, "AKIA1");
    assert_string_equal(keys.secret_key, "s/1+=");
    assert_string_equal(keys.token, "");
    assert_false(ig_s3_keys_parse(&keys, ig_str_view(FILE_TEXT), IG_STR("half")));
    assert_false(ig_s3_keys_parse(&keys, IG_STR(""), IG_STR("default")));

    snprintf(path, sizeof path, "%s/keys", temp.path);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    ASSERT_FAILS(ig_s3_keys_load(&keys, &err), IG_UNAUTHENTICATED, "AWS_ACCESS_KEY_ID");
    ASSERT_OK(ig_file_replace(temp.fd, "keys", ig_str_view(FILE_TEXT), &err));
    setenv("AWS_PROFILE", "other", 1);
    ASSERT_OK(ig_s3_keys_load(&keys, &err));
    assert_string_equal(keys.secret_key, "s2");
    assert_string_equal(keys.token, "t2");
    assert_true(keys.renewable);
    setenv("AWS_PROFILE", "half", 1);
    ASSERT_FAILS(ig_s3_keys_load(&keys, &err), IG_UNAUTHENTICATED, "[half]");
    setenv("AWS_ACCESS_KEY_ID", "AKIA4", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s4", 1);
    ASSERT_OK(ig_s3_keys_load(&keys, &err));
    assert_string_equal(keys.access_key, "AKIA4");
    assert_false(keys.renewable);
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    ig_temp_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_places_refused),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
