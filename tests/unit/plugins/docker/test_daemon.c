/* One request, and every way in which the other side may break the rules. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"

static struct cofre_call call;

static int begin(void **state)
{
    (void)state;
    unsetenv("DOCKER_HOST");
    unsetenv("DOCKER_TLS_VERIFY");
    unsetenv("DOCKER_CERT_PATH");
    call_begin(&call);
    return 0;
}

static int end(void **state)
{
    (void)state;
    call_end(&call);
    return 0;
}

#define HEAD "HTTP/1.1 200 OK\r\n"

/* Ask "/x" of a server with these rules. */
static int32_t ask(const struct server_rule *rules, int64_t patience, json_t **answer, struct cofre_error *error)
{
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, patience);
    const struct daemon_request request = {.method = "GET", .path = "/x", .what = "look at 'x'"};
    memset(error, 0, sizeof *error);
    error->struct_size = sizeof *error;
    int32_t class = daemon_ask(daemon, &call, &request, answer, error);
    daemon_close(daemon);
    server_stop(server);
    return class;
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
    (void)state;
    char long_path[300] = "unix:///";
    memset(long_path + 8, 'a', 200);
    const struct {
        const char *address, *tls;
        int32_t class;
        const char *says;
    } rows[] = {
        {NULL, NULL, COFRE_OK, "docker at 'unix:///var/run/docker.sock'"},
        {"unix:///x", NULL, COFRE_OK, "docker at 'unix:///x'"},
        {"tcp://h-1.example:2375", NULL, COFRE_OK, "docker at 'tcp://h-1.example:2375'"},
        {"tcp://[::1]:2375/", "/etc/tls", COFRE_OK, "docker at 'tcp://[::1]:2375/'"},
        {"unix://x", NULL, COFRE_E_CONFIG, "not absolute"},
        {long_path, NULL, COFRE_E_CONFIG, "longer than"},
        {"tcp://h", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://h:0", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://h:65536", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://u@h:1", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://h:1/x", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://[::1", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://[]:1", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://::1:1", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"tcp://:1", NULL, COFRE_E_CONFIG, "HOST:PORT"},
        {"ssh://h", NULL, COFRE_E_CONFIG, "ssh:// is not spoken"},
        {"http://h:1", NULL, COFRE_E_CONFIG, "no address"},
        {"unix:///x", "/etc/tls", COFRE_E_CONFIG, "tcp:// alone"},
        {"tcp://h:1", "tls", COFRE_E_CONFIG, "no absolute path"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error = {.struct_size = sizeof error};
        struct daemon *daemon;
        const struct daemon_options options = {.address = rows[i].address, .tls = rows[i].tls};
        assert_int_equal(daemon_open(&options, &daemon, &error), rows[i].class);
        if (rows[i].class == COFRE_OK)
            assert_string_equal(daemon_name(daemon), rows[i].says);
        else
            assert_non_null(strstr(error.message, rows[i].says));
        daemon_close(daemon);
    }
}

static void test_environment(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    const struct daemon_options options = {.address = ""};
    struct daemon *daemon;
    setenv("DOCKER_HOST", "tcp://h:1", 1);
    assert_int_equal(daemon_open(&options, &daemon, &error), COFRE_OK);
    assert_string_equal(daemon_name(daemon), "docker at 'tcp://h:1'");
    assert_false(daemon_is_local(daemon));
    daemon_close(daemon);
    setenv("DOCKER_TLS_VERIFY", "1", 1);
    assert_int_equal(daemon_open(&options, &daemon, &error), COFRE_E_CONFIG);
    assert_non_null(strstr(error.message, "DOCKER_CERT_PATH"));
    /* A socket knows no TLS, whatever the environment says. */
    setenv("DOCKER_HOST", "unix:///x", 1);
    assert_int_equal(daemon_open(&options, &daemon, &error), COFRE_OK);
    assert_true(daemon_is_local(daemon));
    daemon_close(daemon);
}

/* ---- who answers ---- */

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        int32_t class;
        const char *asks; /* what the next request begins with */
    } rows[] = {
        {"{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}", COFRE_OK, "GET /v1.41/x "},
        {"{\"ApiVersion\":\"1.40\"}", COFRE_OK, "GET /v1.40/x "},
        {"{\"ApiVersion\":\"1.25\"}", COFRE_OK, "GET /v1.25/x "},
        {"{\"ApiVersion\":\"1.24\"}", COFRE_E_UNSUPPORTED, NULL},
        {"{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", COFRE_OK, "GET /v1.44/x "},
        {"{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.24\"}", COFRE_OK, "GET /v1.41/x "},
        {"{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.42\"}", COFRE_E_UNSUPPORTED, NULL},
        {"{\"ApiVersion\":\"2.0\"}", COFRE_E_UNSUPPORTED, NULL},
        {"{\"ApiVersion\":\"1.x\"}", COFRE_E_UNSUPPORTED, NULL},
        {"{\"ApiVersion\":\"1.41/../..\"}", COFRE_E_UNSUPPORTED, NULL},
        {"{\"ApiVersion\":\"1.99999999999999999999\"}", COFRE_E_UNSUPPORTED, NULL},
        {"{\"ApiVersion\":1.41}", COFRE_E_UNSUPPORTED, NULL},
        {"{}", COFRE_E_UNSUPPORTED, NULL},
        {"[]", COFRE_E_UNSUPPORTED, NULL},
        {"[1", COFRE_E_PERMANENT, NULL},
        {"", COFRE_E_UNSUPPORTED, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error = {.struct_size = sizeof error};
        const struct server_rule rules[] = {
            {.begins = "GET /version ", .answer = server_json(200, "%s", rows[i].version)},
            {.begins = "GET ", .answer = server_json(200, "{}")},
            {.begins = NULL}};
        struct server *server = server_start(rules, &call);
        struct daemon *daemon = server_daemon(server, 0);
        const struct daemon_request request = {.method = "GET", .path = "/x", .what = "look"};
        assert_int_equal(daemon_ask(daemon, &call, &request, NULL, &error), rows[i].class);
        if (rows[i].asks)
            assert_int_equal(server_count(server, rows[i].asks), 1);
        daemon_close(daemon);
        server_stop(server);
    }
}

static void test_hello(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    struct daemon_about about;
    const struct server_rule rules[] = {
        {.begins = "GET /version ",
         .answer = server_json(200, "{\"ApiVersion\":\"1.40\",\"Version\":\"4.3\\u001b[1m\",\"Components\":[{\"Name\":"
                                    "\"Podman Engine\"}]}")},
        {.begins = "GET /v1.40/info ",
         .times = 1,
         .answer = server_json(200, "{\"ID\":\"A:B\",\"DockerRootDir\":\"/r\"}")},
        {.begins = "GET /v1.40/info ", .times = 1, .answer = server_json(403, "{\"message\":\"no\"}")},
        {.begins = "GET /v1.40/info ", .answer = server_json(500, "{\"message\":\"no\"}")},
        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    assert_int_equal(daemon_hello(daemon, &call, &about, &error), COFRE_OK);
    assert_string_equal(about.version, "4.3\\x1b[1m");
    assert_string_equal(about.product, "Podman Engine");
    assert_string_equal(about.id, "A:B");
    assert_string_equal(about.root, "/r");
    assert_int_equal(daemon_hello(daemon, &call, &about, &error), COFRE_OK);
    assert_string_equal(about.id, "");
    assert_int_equal(daemon_hello(daemon, &call, &about, &error), COFRE_E_PERMANENT);
    daemon_close(daemon);
    server_stop(server);
}

/* ---- answers ---- */

static void test_bodies(void **state)
{
    (void)state;
    static const char chunked[] = HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n6;x=y\r\n\":1}  \r\n0\r\n\r\n";
    static const struct {
        const char *answer;
        size_t piece;
        int32_t class;
        bool is_null;
        enum server_then then;
    } rows[] = {
        {HEAD "Content-Length: 7\r\n\r\n{\"a\":1}", 0, COFRE_OK, false, SERVER_KEEP},
        {HEAD "Content-Length: 7\r\n\r\n{\"a\":1}", 1, COFRE_OK, false, SERVER_KEEP},
        {chunked, 0, COFRE_OK, false, SERVER_KEEP},
        {chunked, 1, COFRE_OK, false, SERVER_KEEP},
        {"HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 7\r\n\r\n{\"a\":1}", 0, COFRE_OK, false, SERVER_KEEP},
        {"HTTP/1.0 200 OK\r\n\r\n{\"a\":1}", 0, COFRE_OK, false, SERVER_CLOSE},
        {"HTTP/1.1 204 No Content\r\n\r\n", 0, COFRE_OK, true, SERVER_KEEP},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", 0, COFRE_OK, true, SERVER_KEEP},
        {HEAD "Content-Length: 0\r\n\r\n", 0, COFRE_OK, true, SERVER_KEEP},
        /* cut */
        {"", 0, COFRE_E_RETRY, true, SERVER_CLOSE},
        {"HTTP/1.1 2", 0, COFRE_E_RETRY, true, SERVER_CLOSE},
        {HEAD "Content-Length: 8\r\n\r\n{\"a\":1}", 0, COFRE_E_RETRY, true, SERVER_CLOSE},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n", 0, COFRE_E_RETRY, true, SERVER_CLOSE},
        {"HTTP/1.0 200 OK\r\n\r\n{\"a\":", 0, COFRE_E_PERMANENT, true, SERVER_CLOSE},
        /* garbage */
        {HEAD "Content-Length: 7\r\n\r\n{\"a\":1,", 0, COFRE_E_PERMANENT, true, SERVER_KEEP},
        {HEAD "Content-Length: 3\r\n\r\n\xff{}", 0, COFRE_E_PERMANENT, true, SERVER_KEEP},
        {HEAD "Content-Length: 2\r\n\r\n17", 0, COFRE_E_PERMANENT, true, SERVER_KEEP},
        {HEAD "Content-Length: 4\r\n\r\n{}{}", 0, COFRE_E_PERMANENT, true, SERVER_KEEP},
        {"SSH-2.0-OpenSSH_9.2\r\n", 0, COFRE_E_PERMANENT, true, SERVER_CLOSE},
        {"\x15\x03\x01\x00\x02\x02\x28", 0, COFRE_E_PERMANENT, true, SERVER_CLOSE},
        /* elsewhere */
        {"HTTP/1.1 301 Moved\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 0, COFRE_E_PERMANENT, true, SERVER_KEEP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error;
        json_t *answer = (void *)&error;
        const struct server_rule rules[] = {
            {.begins = "GET /v1.41/x ", .answer = rows[i].answer, .then = rows[i].then, .piece = rows[i].piece},
            {.begins = NULL}};
        int32_t class = ask(rules, 0, &answer, &error);
        if (class != rows[i].class || (answer == NULL) != rows[i].is_null)
            fail_msg("row %zu: class %d, %s", i, class, error.message);
        if (answer)
            assert_int_equal(json_integer_value(json_object_get(answer, "a")), 1);
        if (class != COFRE_OK)
            assert_non_null(strstr(error.message, "look at 'x': docker at 'unix:///tmp/"));
        json_decref(answer);
    }
}

/* More than any answer may have; ends when the other side does. */
static void write_without_end(int fd, void *context)
{
    static char piece[1 << 20];
    memset(piece, ' ', sizeof piece);
    server_write(fd, context, strlen(context));
    for (size_t i = 0; i < 70; i++)
        server_write(fd, piece, sizeof piece);
}

static void write_heads_without_end(int fd, void *context)
{
    server_write(fd, context, strlen(context));
    for (size_t i = 0; i < 100000; i++)
        server_write(fd, "X-Y: 0123456789012345678901234567890123456789\r\n", 47);
}

static void test_without_end(void **state)
{
    (void)state;
    char body[] = "HTTP/1.0 200 OK\r\n\r\n", head[] = HEAD, refusal[] = "HTTP/1.0 409 Conflict\r\n\r\n";
    const struct {
        void (*handle)(int fd, void *context);
        void *context;
        int32_t class;
        const char *says;
    } rows[] = {
        {write_without_end, body, COFRE_E_PERMANENT, "larger than 64 MiB"},
        {write_heads_without_end, head, COFRE_E_PERMANENT, "has no end"},
        {write_without_end, refusal, COFRE_E_PERMANENT, "status 409, without a word"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error;
        json_t *answer;
        const struct server_rule rules[] = {
            {.begins = "GET /v1.41/x ", .handle = rows[i].handle, .context = rows[i].context, .then = SERVER_CLOSE},
            {.begins = NULL}};
        assert_int_equal(ask(rules, 0, &answer, &error), rows[i].class);
        assert_non_null(strstr(error.message, rows[i].says));
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int32_t class;
        const char *says, *hint;
    } rows[] = {
        {404, "{\"message\":\"No such container: x\"}", COFRE_E_NOT_FOUND, "': No such container: x", ""},
        {409, "{\"message\":\"in use\\n\"}", COFRE_E_PERMANENT, "': in use", ""},
        {500, "{\"message\":\"oh\",\"cause\":\"y\"}", COFRE_E_PERMANENT, "': oh", ""},
        {503, "{\"message\":\"later\"}", COFRE_E_RETRY, "': later", ""},
        {502, "bad gateway\r\n", COFRE_E_RETRY, "': bad gateway", ""},
        {504, "", COFRE_E_RETRY, "status 504, without a word", ""},
        {401, "{\"message\":\"who\"}", COFRE_E_AUTH, "': who", ""},
        {403, "{\"message\":\"no\"}", COFRE_E_DENIED, "': no", ""},
        {400, "Client sent an HTTP request to an HTTPS server.", COFRE_E_PERMANENT, "HTTPS server", "speaks TLS"},
        {400, "{\"message\":17}", COFRE_E_PERMANENT, "without a word", ""},
        {400, "{\"message\":\"\\u001b[31mred\\u202e\"}", COFRE_E_PERMANENT, "': \\x1b[31mred", ""},
        {418, "[1,2]", COFRE_E_PERMANENT, "without a word", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error;
        char code[8];
        json_t *answer;
        const struct server_rule rules[] = {
            {.begins = "GET /v1.41/x ", .answer = server_json(rows[i].status, "%s", rows[i].body)}, {.begins = NULL}};
        assert_int_equal(ask(rules, 0, &answer, &error), rows[i].class);
        snprintf(code, sizeof code, "%d", rows[i].status);
        assert_string_equal(error.code, code);
        if (!strstr(error.message, rows[i].says) || !strstr(error.hint, rows[i].hint))
            fail_msg("row %zu: %s (%s)", i, error.message, error.hint);
        assert_null(strchr(error.message, '\n'));
    }
}

/* ---- names ---- */

static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *segment, *line; /* NULL: refused, and nothing is asked */
    } rows[] = {
        {"plain-1_2.3~", "GET /v1.41/c/plain-1_2.3~/json?k=%26%20%3D%3F&all=true HTTP/1.1\r\n"},
        {"a b\r\nX: y?#%&\"",
         "GET /v1.41/c/a%20b%0D%0AX%3A%20y%3F%23%25%26%22/json?k=%26%20%3D%3F&all=true HTTP/1.1\r\n"},
        {"\xc3\xa4\xff", "GET /v1.41/c/%C3%A4%FF/json?k=%26%20%3D%3F&all=true HTTP/1.1\r\n"},
        {"a/b", "GET /v1.41/c/a%2Fb/json?k=%26%20%3D%3F&all=true HTTP/1.1\r\n"},
        {"...", "GET /v1.41/c/.../json?k=%26%20%3D%3F&all=true HTTP/1.1\r\n"},
        {"", NULL},
        {".", NULL},
        {"..", NULL},
        {"a/../b", NULL},
        {"/a", NULL},
        {"a/", NULL},
    };
    const struct server_rule rules[] = {{.begins = "GET /v1.41/c/", .answer = server_json(200, "{}")},
                                        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error = {.struct_size = sizeof error};
        const struct daemon_request request = {.method = "GET",
                                               .path = "/c/%s/json",
                                               .segments = DAEMON_WORDS(rows[i].segment),
                                               .query = DAEMON_WORDS("k", "& =?", "all", "true"),
                                               .what = "look"};
        size_t before = server_count(server, "GET /v1.41/c/");
        int32_t class = daemon_ask(daemon, &call, &request, NULL, &error);
        if (rows[i].line) {
            assert_int_equal(class, COFRE_OK);
            assert_memory_equal(server_last(server, "GET /v1.41/c/"), rows[i].line, strlen(rows[i].line));
        } else {
            assert_int_equal(class, COFRE_E_NOT_FOUND);
            assert_int_equal(server_count(server, "GET /v1.41/c/"), before);
        }
    }
    daemon_close(daemon);
    server_stop(server);
}

/* ---- what is sent, and how often ---- */

static void test_post_is_sent_once(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    const struct server_rule rules[] = {{.begins = "GET /v1.41/x ", .answer = server_json(200, "{}")},
                                        {.begins = "POST ", .then = SERVER_CLOSE},
                                        {.begins = "DELETE ", .then = SERVER_CLOSE},
                                        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    const struct daemon_request look = {.method = "GET", .path = "/x", .what = "look"};
    const struct daemon_request post = {.method = "POST", .path = "/x", .what = "post"};
    const struct daemon_request drop = {.method = "DELETE", .path = "/x", .what = "drop"};
    assert_int_equal(daemon_ask(daemon, &call, &look, NULL, &error), COFRE_OK);
    assert_int_equal(daemon_ask(daemon, &call, &post, NULL, &error), COFRE_E_RETRY);
    assert_int_equal(server_count(server, "POST "), 1);
    assert_int_equal(daemon_ask(daemon, &call, &look, NULL, &error), COFRE_OK);
    assert_int_equal(daemon_ask(daemon, &call, &drop, NULL, &error), COFRE_E_RETRY);
    assert_int_equal(server_count(server, "DELETE "), 1);
    daemon_close(daemon);
    server_stop(server);
}

static void test_body_is_sent(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    const struct server_rule rules[] = {{.begins = "POST /v1.41/x ", .answer = "HTTP/1.1 204 x\r\n\r\n"},
                                        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    json_t *body = json_pack("{s:s}", "k", "v");
    const struct daemon_request post = {.method = "POST", .path = "/x", .body = body, .what = "post"};
    const struct daemon_request empty = {.method = "POST", .path = "/x", .what = "post"};
    json_t *answer = body;
    assert_int_equal(daemon_ask(daemon, &call, &post, &answer, &error), COFRE_OK);
    assert_null(answer);
    const char *sent = server_last(server, "POST ");
    assert_non_null(strstr(sent, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(sent, "\r\n\r\n{\"k\":\"v\"}"));
    assert_int_equal(daemon_ask(daemon, &call, &empty, &answer, &error), COFRE_OK);
    assert_non_null(strstr(server_last(server, "POST "), "\r\nContent-Length: 0\r\n"));
    json_decref(body);
    daemon_close(daemon);
    server_stop(server);
}

static void test_proxies_are_not_used(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    const struct server_rule rules[] = {{.begins = "GET /v1.41/x ", .answer = server_json(200, "{}")},
                                        {.begins = NULL}};
    struct server *server = server_start_tcp(rules, &call);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct daemon *daemon = server_daemon(server, 0);
    const struct daemon_request look = {.method = "GET", .path = "/x", .what = "look"};
    assert_int_equal(daemon_ask(daemon, &call, &look, NULL, &error), COFRE_OK);
    daemon_close(daemon);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    server_stop(server);
}

/* Does a descriptor above these lead to a socket that a program would inherit, and that is connected? */
static size_t inherited(void)
{
    size_t count = 0;
    for (int fd = 3; fd < 200; fd++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC) && getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
            size > sizeof(sa_family_t))
            count++;
    }
    return count;
}

static void test_sockets_stay_here(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    const struct server_rule rules[] = {{.begins = "GET /v1.41/x ", .answer = server_json(200, "{}")},
                                        {.begins = NULL}};
    struct server *servers[] = {server_start(rules, &call), server_start_tcp(rules, &call)};
    for (size_t i = 0; i < 2; i++) {
        struct daemon *daemon = server_daemon(servers[i], 0);
        const struct daemon_request look = {.method = "GET", .path = "/x", .what = "look"};
        size_t before = inherited();
        assert_int_equal(daemon_ask(daemon, &call, &look, NULL, &error), COFRE_OK);
        assert_int_equal(inherited(), before);
        daemon_close(daemon);
        server_stop(servers[i]);
    }
}

/* ---- waiting ---- */

static void test_nobody_there(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    struct daemon *daemon;
    const struct daemon_options options = {.address = "unix:///tmp/no-such-socket"};
    const struct daemon_request look = {.method = "GET", .path = "/x", .what = "look"};
    assert_int_equal(daemon_open(&options, &daemon, &error), COFRE_OK);
    assert_int_equal(daemon_ask(daemon, &call, &look, NULL, &error), COFRE_E_RETRY);
    assert_non_null(strstr(error.message, "cannot connect: No such file or directory"));
    assert_non_null(strstr(error.hint, "does the daemon run"));
    daemon_close(daemon);
}

static void test_silence(void **state)
{
    (void)state;
    static const char *const answers[] = {NULL, "HTTP/1.1 200 O", HEAD "Content-Length: 7\r\n\r\n{\"a\"",
                                          HEAD "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct cofre_error error;
        json_t *answer;
        const struct server_rule silent[] = {{.begins = "GET /v1.41/x ", .answer = answers[i], .then = SERVER_SILENT},
                                             {.begins = NULL}};
        assert_int_equal(ask(silent, 200, &answer, &error), COFRE_E_TIMEOUT);
        assert_non_null(strstr(error.message, "says nothing for 1 s"));
        const struct server_rule cancels[] = {{.begins = "GET /v1.41/x ", .answer = answers[i], .then = SERVER_CANCEL},
                                              {.begins = NULL}};
        assert_int_equal(ask(cancels, 3600000, &answer, &error), COFRE_E_CANCELLED);
        call_end(&call);
        call_begin(&call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, begin, end),
        cmocka_unit_test_setup_teardown(test_environment, begin, end),
        cmocka_unit_test_setup_teardown(test_versions, begin, end),
        cmocka_unit_test_setup_teardown(test_hello, begin, end),
        cmocka_unit_test_setup_teardown(test_bodies, begin, end),
        cmocka_unit_test_setup_teardown(test_without_end, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test_setup_teardown(test_escapes, begin, end),
        cmocka_unit_test_setup_teardown(test_post_is_sent_once, begin, end),
        cmocka_unit_test_setup_teardown(test_body_is_sent, begin, end),
        cmocka_unit_test_setup_teardown(test_proxies_are_not_used, begin, end),
        cmocka_unit_test_setup_teardown(test_sockets_stay_here, begin, end),
        cmocka_unit_test_setup_teardown(test_nobody_there, begin, end),
        cmocka_unit_test_setup_teardown(test_silence, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
