/* SPDX-License-Identifier: Apache-2.0 */
/* A small S3. Files in its directory, with every '/' of a key as ',':
 *
 *   o,KEY    an object            u,ID       an upload in parts: its key and when it began
 *   p,ID,N   a part, N of 5 digits
 *
 * One thread a connection. */
#include "support/s3_server.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "stores/s3_sign.h"
#include "stores/s3_xml.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BODY_MAX = 256 << 20, HEAD_MAX = 64 << 10, PAGE = 3, PART_LEAST = 5 << 20 };

static struct s3_server self; /* in the server's process */
static int root = -1;

struct connection {
    int fd;
    struct ig_buf in;
    struct ig_s3_pair headers[IG_S3_PAIRS_MAX];
    size_t headers_count;
    struct ig_s3_pair query[IG_S3_PAIRS_MAX]; /* decoded in place */
    size_t query_count;
    struct ig_str method, target, path, body;
    char key[1100]; /* the file's name of the object */
    bool flip, truncate, quiet;
};

/* ---- replies ---- */

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* False: the connection is to end. */
static bool reply(struct connection *c, int status, const char *more, struct ig_str body)
{
    char head[1024];
    bool bodyless = ig_str_is(c->method, "HEAD");
    if (c->quiet) return false;
    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status, body.len,
             more);
    if (!send_all(c->fd, head, strlen(head))) return false;
    if (bodyless) return true;
    if (c->truncate) {
        send_all(c->fd, body.ptr, body.len / 2);
        return false;
    }
    return send_all(c->fd, body.ptr, body.len);
}

static bool refuse(struct connection *c, int status, const char *code)
{
    char xml[512];
    snprintf(xml, sizeof xml,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>The words "
             "of %s.</Message><RequestId>1</RequestId></Error>",
             code, code);
    self.shared->refused++;
    return reply(c, status, "Content-Type: application/xml\r\n", ig_str_view(xml));
}

/* ---- requests ---- */

static struct ig_str header(const struct connection *c, const char *name)
{
    for (size_t i = 0; i < c->headers_count; i++)
        if (ig_str_eq_nocase(c->headers[i].name, ig_str_view(name))) return c->headers[i].value;
    return (struct ig_str){0};
}

static struct ig_str query(const struct connection *c, const char *name)
{
    for (size_t i = 0; i < c->query_count; i++)
        if (ig_str_is(c->query[i].name, name)) return c->query[i].value;
    return (struct ig_str){0};
}

static struct ig_str decode(struct ig_str text)
{
    char *out = (char *)(uintptr_t)text.ptr;
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        char code[3] = {0};
        if (text.ptr[i] == '%' && i + 2 < text.len) {
            memcpy(code, text.ptr + i + 1, 2);
            out[length++] = (char)strtol(code, NULL, 16);
            i += 2;
        } else {
            out[length++] = text.ptr[i];
        }
    }
    return (struct ig_str){text.ptr, length};
}

static bool receive(struct connection *c, size_t until)
{
    char chunk[64 << 10];
    while (c->in.len < until) {
        ssize_t got = recv(c->fd, chunk, sizeof chunk, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        ig_buf_add(&c->in, chunk, (size_t)got);
        if (c->in.overflowed) return false;
    }
    return true;
}

static bool read_request(struct connection *c)
{
    uint64_t length = 0;
    char *end = NULL;
    ig_buf_reset(&c->in);
    c->headers_count = c->query_count = 0;
    c->flip = c->truncate = c->quiet = false;
    while (!end) {
        if (c->in.len > HEAD_MAX || !receive(c, c->in.len + 1)) return false;
        end = memmem(c->in.ptr, c->in.len, "\r\n\r\n", 4);
    }
    size_t head = (size_t)(end - c->in.ptr) + 4;
    char *sized = strcasestr(c->in.ptr, "\ncontent-length:");
    if (sized && sized < end) length = strtoull(sized + 16, NULL, 10);
    if (!receive(c, head + length)) return false;
    struct ig_str rest = {c->in.ptr, head - 2};
    struct ig_str first = ig_str_trim(ig_str_cut(&rest, '\n'));
    c->body = (struct ig_str){c->in.ptr + head, length};
    c->method = ig_str_cut(&first, ' ');
    c->target = c->path = ig_str_cut(&first, ' ');
    while (rest.len) {
        struct ig_str value = ig_str_trim(ig_str_cut(&rest, '\n'));
        if (!value.len || c->headers_count == IG_S3_PAIRS_MAX) break;
        c->headers[c->headers_count].name = ig_str_cut(&value, ':');
        c->headers[c->headers_count++].value = ig_str_trim(value);
    }
    return true;
}

/* After the faults, which look at the target as it came. */
static void cut_target(struct connection *c)
{
    struct ig_str rest = c->target;
    c->path = ig_str_cut(&rest, '?');
    while (rest.ptr && c->query_count < IG_S3_PAIRS_MAX) {
        struct ig_str value = ig_str_cut(&rest, '&');
        c->query[c->query_count].name = decode(ig_str_cut(&value, '='));
        c->query[c->query_count++].value = value.ptr ? decode(value) : IG_STR("");
    }
}

/* What differs, or NULL. */
static const char *check_signature(const struct connection *c)
{
    struct ig_str rest = header(c, "authorization"), names = {0};
    struct ig_s3_pair signed_headers[IG_S3_PAIRS_MAX];
    size_t count = 0;
    char *at = rest.ptr ? memmem(rest.ptr, rest.len, "SignedHeaders=", 14) : NULL;
    if (!at) return "AccessDenied";
    names = (struct ig_str){at + 14, rest.len - (size_t)(at + 14 - rest.ptr)};
    names = ig_str_cut(&names, ',');
    while (names.ptr && names.len) {
        struct ig_str name = ig_str_cut(&names, ';');
        char text[64];
        snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(name));
        signed_headers[count++] = (struct ig_s3_pair){name, header(c, text)};
    }
    for (size_t i = 0; i < c->headers_count; i++) { /* S3 wants them all signed */
        char text[64];
        snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(c->headers[i].name));
        bool wanted = strncasecmp(text, "x-amz-", 6) == 0 || strcasecmp(text, "host") == 0;
        for (size_t k = 0; wanted && k < count; k++)
            wanted = !ig_str_eq_nocase(c->headers[i].name, signed_headers[k].name);
        if (wanted) return "AccessDenied";
    }
    const struct ig_s3_request request = {c->method,
                                          c->path,
                                          c->query,
                                          c->query_count,
                                          signed_headers,
                                          count,
                                          header(c, "x-amz-content-sha256")};
    const struct ig_s3_signer signer = {.access_key = IG_STR(S3_SERVER_ACCESS_KEY),
                                        .secret_key = IG_STR(S3_SERVER_SECRET_KEY),
                                        .region = IG_STR("us-east-1"),
                                        .service = IG_STR("s3"),
                                        .time = header(c, "x-amz-date")};
    struct ig_buf expected;
    ig_buf_init(&expected, HEAD_MAX);
    ig_s3_authorize(&expected, &request, &signer);
    bool same = ig_str_eq(ig_buf_view(&expected), rest);
    bool known = memmem(rest.ptr, rest.len, S3_SERVER_ACCESS_KEY "/", 21) != NULL;
    ig_buf_deinit(&expected);
    return same ? NULL : known ? "SignatureDoesNotMatch" : "InvalidAccessKeyId";
}

static const char *check_body(const struct connection *c)
{
    unsigned char digest[IG_SHA256_BYTES];
    char hex[IG_SHA256_HEX], base64[IG_SHA256_BASE64];
    struct ig_str checksum = header(c, "x-amz-checksum-sha256");
    ig_sha256(c->body.ptr, c->body.len, digest);
    ig_hex(hex, digest, sizeof digest);
    ig_sha256_base64(base64, digest);
    if (!ig_str_is(header(c, "x-amz-content-sha256"), hex)) return "XAmzContentSHA256Mismatch";
    if (checksum.len && !ig_str_is(checksum, base64)) return "BadDigest";
    return NULL;
}

/* ---- objects ---- */

static bool store(const char *name, struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    return ig_file_replace(root, name, bytes, &err) == IG_OK;
}

static bool load(struct ig_buf *out, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(out, BODY_MAX);
    return ig_file_read(out, root, name, &err) == IG_OK;
}

static bool get_object(struct connection *c)
{
    struct ig_buf bytes;
    bool kept = load(&bytes, c->key);
    if (!kept) {
        kept = refuse(c, 404, "NoSuchKey");
    } else {
        if (c->flip && bytes.len) bytes.ptr[bytes.len / 2] ^= 1;
        kept = reply(c, 200, "ETag: \"e\"\r\n", ig_buf_view(&bytes));
    }
    ig_buf_deinit(&bytes);
    return kept;
}

static bool begin_upload(struct connection *c)
{
    static atomic_int last;
    char id[32], name[40], text[1400], iso[IG_CLOCK_ISO_SIZE];
    snprintf(id, sizeof id, "id+%d/%d", getpid() % 1000, ++last);
    snprintf(name, sizeof name, "u,%s", id);
    for (char *at = name; *at; at++)
        if (*at == '/') *at = ',';
    ig_clock_iso(iso, ig_clock_unix_ms() - self.shared->began_ms_ago);
    snprintf(text, sizeof text, "%s\n%s\n%s", c->key, id, iso);
    store(name, ig_str_view(text));
    snprintf(text, sizeof text,
             "<InitiateMultipartUploadResult "
             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>ingot-test</Bucket>"
             "<UploadId>%s</UploadId></InitiateMultipartUploadResult>",
             id);
    return reply(c, 200, "", ig_str_view(text));
}

/* "u,ID" of the query's upload; false when there is none. */
static bool upload_name(char out[80], const struct connection *c)
{
    struct stat info;
    snprintf(out, 80, "u,%.*s", IG_STR_ARGS(query(c, "uploadId")));
    for (char *at = out; *at; at++)
        if (*at == '/') *at = ',';
    return fstatat(root, out, &info, 0) == 0;
}

static void part_name(char out[100], const char *upload, int number)
{
    snprintf(out, 100, "p%s,%05d", upload + 1, number);
}

static bool put_object(struct connection *c)
{
    char upload[80], name[100], etag[64];
    int number = 0;
    if (query(c, "uploadId").len) {
        if (!upload_name(upload, c)) return refuse(c, 404, "NoSuchUpload");
        number = (int)strtol(query(c, "partNumber").ptr, NULL, 10);
        part_name(name, upload, number);
        self.shared->parts++;
    }
    store(number ? name : c->key, c->body);
    snprintf(etag, sizeof etag, "ETag: \"tag%d\"\r\n", number);
    return reply(c, 200, etag, IG_STR(""));
}

static void remove_upload(const char *upload)
{
    char name[100];
    unlinkat(root, upload, 0);
    for (int i = 1; i < 100; i++) {
        part_name(name, upload, i);
        unlinkat(root, name, 0);
    }
}

struct completing {
    const char *upload;
    struct ig_buf bytes;
    int number, last;
    size_t last_bytes;
    char checksum[64], etag[64];
    const char *wrong;
};

static void add_part(struct completing *all)
{
    char name[100], etag[64], base64[IG_SHA256_BASE64];
    unsigned char digest[IG_SHA256_BYTES];
    struct ig_buf part;
    part_name(name, all->upload, all->number);
    snprintf(etag, sizeof etag, "\"tag%d\"", all->number);
    if (!load(&part, name) || strcmp(etag, all->etag) != 0) all->wrong = "InvalidPart";
    ig_sha256(part.ptr, part.len, digest);
    ig_sha256_base64(base64, digest);
    if (strcmp(base64, all->checksum) != 0) all->wrong = "InvalidPart";
    if (all->number <= all->last) all->wrong = "InvalidPartOrder";
    if (all->last && all->last_bytes < PART_LEAST) all->wrong = "EntityTooSmall";
    ig_buf_add(&all->bytes, part.ptr, part.len);
    all->last = all->number;
    all->last_bytes = part.len;
    ig_buf_deinit(&part);
}

static bool take_part(void *context, const struct ig_s3_element *element)
{
    struct completing *all = context;
    if (ig_str_is(element->name, "PartNumber"))
        all->number = (int)strtol(element->text.ptr, NULL, 10);
    if (ig_str_is(element->name, "ETag"))
        snprintf(all->etag, sizeof all->etag, "%.*s", IG_STR_ARGS(element->text));
    if (ig_str_is(element->name, "ChecksumSHA256"))
        snprintf(all->checksum, sizeof all->checksum, "%.*s", IG_STR_ARGS(element->text));
    if (ig_str_is(element->name, "Part")) add_part(all);
    return true;
}

static bool end_upload(struct connection *c)
{
    char upload[80];
    struct ig_err err = IG_ERR_INIT;
    struct completing all = {.upload = upload};
    if (!upload_name(upload, c)) return refuse(c, 404, "NoSuchUpload");
    ig_buf_init(&all.bytes, BODY_MAX);
    if (ig_s3_xml_walk(c->body, take_part, &all, &err) != IG_OK) all.wrong = "MalformedXML";
    if (!all.wrong && !all.last) all.wrong = "MalformedXML";
    if (!all.wrong) store(c->key, ig_buf_view(&all.bytes));
    ig_buf_deinit(&all.bytes);
    if (all.wrong) return refuse(c, 400, all.wrong);
    remove_upload(upload);
    return reply(c, 200, "",
                 IG_STR("<CompleteMultipartUploadResult><ETag>\"whole\"</ETag>"
                        "</CompleteMultipartUploadResult>"));
}

static bool remove_object(struct connection *c)
{
    char upload[80];
    if (!query(c, "uploadId").len) {
        unlinkat(root, c->key, 0);
        return reply(c, 204, "", IG_STR(""));
    }
    if (!upload_name(upload, c)) return refuse(c, 404, "NoSuchUpload");
    remove_upload(upload);
    return reply(c, 204, "", IG_STR(""));
}

/* ---- lists ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* File names that begin so, sorted; the caller frees. */
static char **names_of(const char *start, size_t *count)
{
    char **names = NULL;
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(fd);
    *count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, start, strlen(start)) != 0) continue;
        names = realloc(names, (*count + 1) * sizeof *names);
        names[(*count)++] = strdup(entry->d_name);
    }
    if (dir) closedir(dir);
    if (*count) qsort(names, *count, sizeof *names, by_name);
    return names;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

static void add_key(struct ig_buf *out, const char *file)
{
    for (const char *at = file + 2; *at; at++) ig_buf_add_char(out, *at == ',' ? '/' : *at);
}

static void add_modified(struct ig_buf *out, const char *file)
{
    struct stat info;
    char iso[IG_CLOCK_ISO_SIZE];
    if (fstatat(root, file, &info, 0) != 0) return;
    ig_clock_iso(iso, (int64_t)info.st_mtim.tv_sec * 1000);
    ig_buf_printf(out, "<LastModified>%s</LastModified>", iso);
}

static bool list_objects(struct connection *c)
{
    char start[600];
    struct ig_buf xml;
    size_t count;
    struct ig_str after = query(c, "continuation-token");
    size_t from = after.len ? (size_t)strtoul(after.ptr, NULL, 10) : 0;
    snprintf(start, sizeof start, "o,%.*s", IG_STR_ARGS(query(c, "prefix")));
    for (char *at = start; *at; at++)
        if (*at == '/') *at = ',';
    char **names = names_of(start, &count);
    ig_buf_init(&xml, 1 << 20);
    ig_buf_add_cstr(&xml, "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = from; i < count && i < from + PAGE; i++) {
        ig_buf_add_cstr(&xml, "<Contents><Key>");
        add_key(&xml, names[i]);
        ig_buf_add_cstr(&xml, "</Key>");
        add_modified(&xml, names[i]);
        ig_buf_add_cstr(&xml, "<Size>1</Size><Owner><ID>Key</ID></Owner></Contents>");
    }
    bool more = from + PAGE < count;
    ig_buf_printf(&xml, "<IsTruncated>%s</IsTruncated>", more ? "true" : "false");
    if (more)
        ig_buf_printf(&xml, "<NextContinuationToken>%zu</NextContinuationToken>", from + PAGE);
    ig_buf_add_cstr(&xml, "</ListBucketResult>");
    bool kept = reply(c, 200, "", ig_buf_view(&xml));
    ig_buf_deinit(&xml);
    free_names(names, count);
    return kept;
}

static bool list_uploads(struct connection *c)
{
    struct ig_buf xml, text;
    size_t count;
    char **names = names_of("u,", &count);
    struct ig_str prefix = query(c, "prefix");
    ig_buf_init(&xml, 1 << 20);
    ig_buf_add_cstr(&xml, "<ListMultipartUploadsResult>");
    for (size_t i = 0; i < count; i++) {
        if (!load(&text, names[i])) continue;
        struct ig_str rest = ig_buf_view(&text);
        struct ig_str file = ig_str_cut(&rest, '\n'), id = ig_str_cut(&rest, '\n');
        char key[1100];
        snprintf(key, sizeof key, "%.*s", IG_STR_ARGS(file));
        for (char *at = key; *at; at++)
            if (*at == ',') *at = '/';
        if (strncmp(key + 2, prefix.ptr ? prefix.ptr : "", prefix.len) == 0)
            ig_buf_printf(&xml,
                          "<Upload><Key>%s</Key><UploadId>%.*s</UploadId><Initiated>%.*s"
                          "</Initiated></Upload>",
                          key + 2, IG_STR_ARGS(id), IG_STR_ARGS(rest));
        ig_buf_deinit(&text);
    }
    ig_buf_add_cstr(&xml, "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
    bool kept = reply(c, 200, "", ig_buf_view(&xml));
    ig_buf_deinit(&xml);
    free_names(names, count);
    return kept;
}

/* ---- serving ---- */

static bool has_query(const struct connection *c, const char *name)
{
    for (size_t i = 0; i < c->query_count; i++)
        if (ig_str_is(c->query[i].name, name)) return true;
    return false;
}

static bool act(struct connection *c)
{
    struct ig_str key = c->path;
    const char *wrong = check_signature(c);
    if (!ig_str_starts(key, IG_STR("/ingot-test"))) return refuse(c, 404, "NoSuchBucket");
    key.ptr += 11;
    key.len -= 11;
    if (wrong) return refuse(c, 403, wrong);
    if (c->flip && c->body.len && !ig_str_is(c->method, "GET"))
        ((char *)(uintptr_t)c->body.ptr)[0] ^= 1;
    wrong = check_body(c);
    if (wrong) return refuse(c, 400, wrong);
    snprintf(c->key, sizeof c->key, "o%.*s", IG_STR_ARGS(key));
    for (char *at = c->key; *at; at++)
        if (*at == '/') *at = ',';
    if (key.len == 0) return has_query(c, "uploads") ? list_uploads(c) : list_objects(c);
    if (ig_str_is(c->method, "PUT")) return put_object(c);
    if (ig_str_is(c->method, "DELETE")) return remove_object(c);
    if (ig_str_is(c->method, "POST"))
        return has_query(c, "uploads") ? begin_upload(c) : end_upload(c);
    return get_object(c);
}

static bool meets(const struct connection *c, struct s3_server_shared *shared)
{
    if (shared->faults_left <= 0) return false;
    if (*shared->method && !ig_str_is(c->method, shared->method)) return false;
    if (*shared->contains &&
        !memmem(c->target.ptr, c->target.len, shared->contains, strlen(shared->contains)))
        return false;
    return atomic_fetch_sub(&shared->faults_left, 1) > 0;
}

static bool fault(struct connection *c, struct s3_server_shared *shared)
{
    char xml[200];
    switch (shared->fault) {
    case S3_FAULT_REFUSE:
        return refuse(c, shared->status, shared->code);
    case S3_FAULT_CUT:
        return false;
    case S3_FAULT_LATE:
        snprintf(xml, sizeof xml, "<Error><Code>%s</Code><Message>Late.</Message></Error>",
                 shared->code);
        return reply(c, 200, "", ig_str_view(xml));
    case S3_FAULT_GARBAGE:
        send_all(c->fd, "\0\xff\xfe nonsense\r\n\r\n", 16);
        return false;
    case S3_FAULT_LOSE:
        c->quiet = true;
        break;
    case S3_FAULT_TRUNCATE:
        c->truncate = true;
        break;
    case S3_FAULT_FLIP:
        c->flip = true;
        break;
    }
    return act(c);
}

static void *serve(void *context)
{
    struct connection *c = calloc(1, sizeof *c);
    c->fd = (int)(intptr_t)context;
    ig_buf_init(&c->in, BODY_MAX + HEAD_MAX);
    for (bool kept = true; kept && read_request(c);) {
        bool failing = meets(c, self.shared);
        self.shared->requests++;
        cut_target(c);
        kept = failing ? fault(c, self.shared) : act(c);
    }
    ig_buf_deinit(&c->in);
    close(c->fd);
    free(c);
    return NULL;
}

static _Noreturn void run(int listening, long parent)
{
    struct ig_err err = IG_ERR_INIT;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((long)getppid() != parent || ig_dir_open(&root, IG_FILE_CWD, self.dir, &err) != IG_OK)
        _exit(1);
    for (;;) {
        pthread_t thread;
        int fd = accept(listening, NULL, NULL);
        if (fd < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0) pthread_detach(thread);
    }
}

void s3_server_start(struct s3_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listening >= 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 64), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    *server = (struct s3_server){.port = ntohs(address.sin_port)};
    snprintf(server->dir, sizeof server->dir, "/tmp/ingot-s3-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    server->shared = mmap(NULL, sizeof *server->shared, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(server->shared != MAP_FAILED);
    setenv("AWS_ACCESS_KEY_ID", S3_SERVER_ACCESS_KEY, 1);
    setenv("AWS_SECRET_ACCESS_KEY", S3_SERVER_SECRET_KEY, 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    long parent = getpid();
    self = *server;
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) run(listening, parent);
    close(listening);
}

void s3_server_stop(struct s3_server *server)
{
    struct ig_err err = IG_ERR_INIT;
    kill(server->pid, SIGKILL);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    munmap(server->shared, sizeof *server->shared);
    assert_int_equal(ig_dir_remove_tree(IG_FILE_CWD, server->dir, &err), IG_OK);
}

void s3_server_url(char out[256], const struct s3_server *server, const char *prefix)
{
    snprintf(out, 256, "s3://ingot-test/%s?endpoint=http://127.0.0.1:%u&path_style=true", prefix,
             server->port);
}

void s3_server_fail(struct s3_server *server, enum s3_fault fault, int count, const char *method,
                    const char *contains)
{
    struct s3_server_shared *shared = server->shared;
    shared->faults_left = 0;
    shared->fault = fault;
    snprintf(shared->method, sizeof shared->method, "%s", method ? method : "");
    snprintf(shared->contains, sizeof shared->contains, "%s", contains ? contains : "");
    shared->faults_left = count;
}

void s3_server_refuse(struct s3_server *server, int count, int status, const char *code)
{
    server->shared->faults_left = 0;
    server->shared->status = status;
    snprintf(server->shared->code, sizeof server->shared->code, "%s", code);
    s3_server_fail(server, S3_FAULT_REFUSE, count, NULL, NULL);
}

void s3_server_damage(const struct s3_server *server, const char *key)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/o,%s", server->dir, key);
    for (char *at = path + strlen(server->dir) + 1; *at; at++)
        if (*at == '/') *at = ',';
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    int first = fgetc(file);
    rewind(file);
    fputc(first ^ 1, file);
    assert_int_equal(fclose(file), 0);
}

static int count_files(const struct s3_server *server, const char *start)
{
    int count = 0;
    DIR *dir = opendir(server->dir);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strncmp(entry->d_name, start, strlen(start)) == 0;
    closedir(dir);
    return count;
}

int s3_server_count(const struct s3_server *server, const char *key_prefix)
{
    char start[600];
    snprintf(start, sizeof start, "o,%s", key_prefix);
    for (char *at = start; *at; at++)
        if (*at == '/') *at = ',';
    return count_files(server, start);
}

int s3_server_uploads(const struct s3_server *server)
{
    return count_files(server, "u,");
}
