/* Containers as a daemon describes them, also one that lies; which one is meant, in which order, and what is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/docker/container.h"
#include "server.h"

static struct cofre_call call;

static int begin(void **state)
{
    (void)state;
    call_begin(&call);
    return 0;
}

static int end(void **state)
{
    (void)state;
    call_end(&call);
    return 0;
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char whole[] =
    "{\"Id\":\"" ID "\",\"Name\":\"/db\",\"Image\":\"sha256:abc\","
    "\"State\":{\"Status\":\"running\",\"Pid\":17,\"StartedAt\":\"2026-01-01T00:00:00Z\",\"Running\":true,"
    "\"Health\":{\"Status\":\"healthy\"}},"
    "\"Config\":{\"Image\":\"postgres:17\",\"StopTimeout\":3,\"Labels\":{\"com.docker.compose.project\":\"echo\","
    "\"com.docker.compose.service\":\"db\",\"com.docker.compose.depends_on\":\"a:service_started:false\","
    "\"com.docker.compose.oneoff\":\"False\",\"cofre.during\":\"stop\"}},"
    "\"HostConfig\":{\"NetworkMode\":\"container:x\",\"AutoRemove\":true,\"IpcMode\":\"\",\"PidMode\":\"\","
    "\"Links\":[\"/a:/b/c\"]},"
    "\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"v\",\"Source\":\"/s\",\"Destination\":\"/d\",\"RW\":false},"
    "{\"Type\":\"bind\",\"Name\":\"w\",\"Source\":\"/t\",\"Destination\":\"/e\"}]}";

static int32_t look_at(const char *text, struct container *container, struct cofre_error *error)
{
    const struct server_rule rules[] = {{.begins = "GET /v1.41/containers/", .answer = server_json(200, "%s", text)},
                                        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    int32_t class = container_look(daemon, &call, ID, container, error);
    daemon_close(daemon);
    server_stop(server);
    return class;
}

static void test_inspect(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    struct container c;
    assert_int_equal(look_at(whole, &c, &error), COFRE_OK);
    assert_string_equal(c.id, ID);
    assert_string_equal(c.name, "db");
    assert_string_equal(c.image, "postgres:17");
    assert_string_equal(c.image_id, "sha256:abc");
    assert_string_equal(c.project, "echo");
    assert_string_equal(c.service, "db");
    assert_string_equal(c.started_at, "2026-01-01T00:00:00Z");
    assert_string_equal(c.during, "stop");
    assert_string_equal(c.network_mode, "container:x");
    assert_true(c.state == CONTAINER_RUNNING && c.health == HEALTH_HEALTHY && c.pid == 17 && c.removed_when_stopped);
    assert_int_equal(c.mount_count, 2);
    const struct container_mount *mount = container_mounts(&c, "v");
    assert_non_null(mount);
    assert_string_equal(mount->source, "/s");
    assert_string_equal(mount->destination, "/d");
    assert_false(mount->writable);
    /* A name without the type is none; and nobody said that it is read only. */
    assert_null(container_mounts(&c, "w"));
    assert_true(c.mounts[1].writable);
    container_free(&c);
    container_free(&c);
}

static void test_states(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum container_state state;
    } rows[] = {{"created", CONTAINER_CREATED}, {"running", CONTAINER_RUNNING},
                {"paused", CONTAINER_PAUSED},   {"restarting", CONTAINER_RESTARTING},
                {"exited", CONTAINER_EXITED},   {"removing", CONTAINER_REMOVING},
                {"dead", CONTAINER_DEAD},       {"stopped", CONTAINER_EXITED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cofre_error error = {.struct_size = sizeof error};
        struct container c;
        char text[300];
        snprintf(text, sizeof text, "{\"Id\":\"" ID "\",\"State\":{\"Status\":\"%s\"}}", rows[i].text);
        assert_int_equal(look_at(text, &c, &error), COFRE_OK);
        assert_true(c.state == rows[i].state);
        if (i < 7)
            assert_string_equal(container_state_name(c.state), rows[i].text);
        assert_string_equal(c.name, "");
        assert_int_equal(c.mount_count, 0);
        container_free(&c);
    }
}

/* Everywhere in the tree a value of each other type. */
static size_t lie(json_t *root, json_t *value, size_t *refused)
{
    static const char *const others[] = {"17", "\"x\"", "true", "null", "[[17]]", "{\"x\":{}}", "-9223372036854775808"};
    size_t count = 0;
    const char *key;
    json_t *member;
    size_t index;
    void *next;
    json_object_foreach_safe(value, next, key, member)
    {
        json_t *kept = json_incref(member);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++, count++) {
            struct cofre_error error = {.struct_size = sizeof error};
            struct container c;
            json_object_set_new(value, key, json_loads(others[i], JSON_DECODE_ANY, NULL));
            char *text = json_dumps(root, 0);
            int32_t class = look_at(text, &c, &error);
            if (class != COFRE_OK) {
                assert_int_equal(class, COFRE_E_INTEGRITY);
                assert_non_null(strstr(error.message, "is not what the API says"));
                ++*refused;
            }
            container_free(&c);
            free(text);
        }
        json_object_set(value, key, kept);
        count += lie(root, kept, refused);
        json_decref(kept);
    }
    json_array_foreach(value, index, member) count += lie(root, member, refused);
    return count;
}

static void test_lies(void **state)
{
    (void)state;
    json_t *root = json_loads(whole, 0, NULL);
    size_t refused = 0, count = lie(root, root, &refused);
    assert_true(count > 200 && refused > count / 3);
    json_decref(root);
    static const char *const texts[] = {"[]",
                                        "[{}]",
                                        "{}",
                                        "{\"Id\":\"" ID "\"}",
                                        "{\"Id\":\"../x\",\"State\":{\"Status\":\"running\"}}",
                                        "{\"Id\":\"\",\"State\":{\"Status\":\"running\"}}",
                                        "{\"Id\":\"" ID "\",\"State\":{\"Status\":\"glowing\"}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cofre_error error = {.struct_size = sizeof error};
        struct container c;
        assert_int_equal(look_at(texts[i], &c, &error), COFRE_E_INTEGRITY);
        container_free(&c);
    }
}

/* ---- lists ---- */

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* One container: extra goes into Config.Labels, host into HostConfig. */
static const char *one(const char *id, const char *name, const char *state, const char *labels, const char *host)
{
    return server_json(200,
                       "{\"Id\":\"%s\",\"Name\":\"/%s\",\"State\":{\"Status\":\"%s\"},\"Config\":{\"Labels\":{%s}},"
                       "\"HostConfig\":{%s}}",
                       id, name, state, labels, host);
}

#define LIST(...) "[" __VA_ARGS__ "]"
#define ITEM(id) "{\"Id\":\"" id "\",\"Names\":17}"

static void test_list(void **state)
{
    (void)state;
    const struct server_rule rules[] = {
        {.begins = "GET /v1.41/containers/json?all=true ",
         .answer = server_json(200, LIST(ITEM(C) "," ITEM(A) "," ITEM(B) "," ITEM(C)))},
        {.begins = "GET /v1.41/containers/" A, .answer = one(A, "zoe", "exited", "", "")},
        {.begins = "GET /v1.41/containers/" C, .answer = one(C, "adam", "running", "", "")},
        /* B has vanished */
        {.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    struct containers all;
    assert_int_equal(containers_list(daemon, &call, &all, &error), COFRE_OK);
    assert_int_equal(all.count, 2);
    assert_string_equal(all.items[0].name, "adam");
    assert_string_equal(all.items[1].name, "zoe");
    containers_free(&all);
    containers_free(&all);
    daemon_close(daemon);
    server_stop(server);
}

static void test_lying_lists(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}",
                                        "{\"Id\":\"" A "\"}",
                                        "[17]",
                                        "[null]",
                                        "[{}]",
                                        "[{\"Id\":17}]",
                                        "[{\"Id\":\"\"}]",
                                        "[{\"Id\":\"../../x\"}]",
                                        ""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct server_rule rules[] = {
            {.begins = "GET /v1.41/containers/json", .answer = server_json(200, "%s", texts[i])}, {.begins = NULL}};
        struct cofre_error error = {.struct_size = sizeof error};
        struct server *server = server_start(rules, &call);
        struct daemon *daemon = server_daemon(server, 0);
        struct containers all;
        assert_int_equal(containers_list(daemon, &call, &all, &error), COFRE_E_INTEGRITY);
        containers_free(&all);
        daemon_close(daemon);
        server_stop(server);
    }
}

/* ---- finding ---- */

#define OF(project, service)                                                                                           \
    "\"com.docker.compose.project\":\"" project "\",\"com.docker.compose.service\":\"" service "\""

static int32_t find(const char *reference, const char *a, const char *b, const char *c, char *name,
                    struct cofre_error *error)
{
    const struct server_rule rules[] = {{.begins = "GET /v1.41/containers/json?all=true",
                                         .answer = server_json(200, LIST(ITEM(A) "," ITEM(B) "," ITEM(C)))},
                                        {.begins = "GET /v1.41/containers/" A, .answer = a},
                                        {.begins = "GET /v1.41/containers/" B, .answer = b},
                                        {.begins = "GET /v1.41/containers/" C, .answer = c},
                                        {.begins = "GET /v1.41/containers/one/json ", .answer = a},
                                        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    struct container found;
    *error = (struct cofre_error){.struct_size = sizeof *error};
    int32_t class = container_find(daemon, &call, reference, &found, error);
    snprintf(name, 80, "%s", class == COFRE_OK ? found.name : "");
    container_free(&found);
    daemon_close(daemon);
    server_stop(server);
    return class;
}

static void test_find(void **state)
{
    (void)state;
    struct cofre_error error;
    char name[80];
    const char *up = one(A, "one", "running", OF("p", "db"), ""), *down = one(B, "two", "exited", OF("p", "db"), "");
    const char *also_up = one(B, "two", "paused", OF("p", "db"), ""),
               *web = one(C, "web", "running", OF("p", "web"), "");
    const char *extra = one(B, "two", "running", OF("p", "db") ",\"com.docker.compose.oneoff\":\"True\"", "");
    const char *also_down = one(A, "one", "created", OF("p", "db"), "");
    assert_int_equal(find("one", up, down, web, name, &error), COFRE_OK);
    assert_string_equal(name, "one");
    assert_int_equal(find("/one", up, down, web, name, &error), COFRE_OK);
    assert_int_equal(find("p/db", up, down, web, name, &error), COFRE_OK);
    assert_string_equal(name, "one");
    assert_int_equal(find("p/db", up, extra, web, name, &error), COFRE_OK);
    assert_string_equal(name, "one");
    assert_int_equal(find("p/web", up, down, web, name, &error), COFRE_OK);
    assert_string_equal(name, "web");
    assert_int_equal(find("p/db", up, also_up, web, name, &error), COFRE_E_CONFIG);
    assert_non_null(strstr(error.message, "2 containers of it run"));
    assert_int_equal(find("p/db", also_down, down, web, name, &error), COFRE_E_CONFIG);
    assert_non_null(strstr(error.message, "none of them runs"));
    assert_int_equal(find("p/nix", up, down, web, name, &error), COFRE_E_NOT_FOUND);
    assert_string_equal(error.hint, "services of this project: db, web");
    assert_int_equal(find("q/db", up, down, web, name, &error), COFRE_E_NOT_FOUND);
    assert_string_equal(error.hint, "there are: one, two, web");
    assert_int_equal(find("nix", up, down, web, name, &error), COFRE_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "find container 'nix': "));
    assert_string_equal(error.hint, "there are: one, two, web");
    assert_int_equal(find("", up, down, web, name, &error), COFRE_E_NOT_FOUND);
    assert_int_equal(find("..", up, down, web, name, &error), COFRE_E_NOT_FOUND);
}

/* ---- order ---- */

struct wanted {
    const char *name, *labels, *host;
};

static void order(const struct wanted *given, size_t count, const char *expected)
{
    struct containers all = {.items = calloc(count, sizeof *all.items), .count = count};
    struct cofre_error error = {.struct_size = sizeof error};
    char got[200] = "";
    assert_non_null(all.items);
    for (size_t i = 0; i < count; i++) {
        struct container *c = &all.items[i];
        char text[1000];
        snprintf(text, sizeof text, "{\"Config\":{\"Labels\":{%s}},\"HostConfig\":{%s}}",
                 given[i].labels ? given[i].labels : "", given[i].host ? given[i].host : "");
        c->json = json_loads(text, 0, NULL);
        assert_non_null(c->json);
        c->id = i == 0 ? A : i == 1 ? B : C;
        c->name = given[i].name;
        c->project = "p";
        c->service = given[i].name;
        json_t *mode = json_object_get(json_object_get(c->json, "HostConfig"), "NetworkMode");
        c->network_mode = mode ? json_string_value(mode) : "";
    }
    assert_int_equal(containers_order(&all, &error), COFRE_OK);
    assert_int_equal(all.count, count);
    for (size_t i = 0; i < count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", all.items[i].name);
    assert_string_equal(got, expected);
    containers_free(&all);
}

#define ON(text) "\"com.docker.compose.depends_on\":\"" text "\""

static void test_order(void **state)
{
    (void)state;
    order((const struct wanted[]){{"c", NULL, NULL}, {"b", NULL, NULL}, {"a", NULL, NULL}}, 3, "a b c ");
    order((const struct wanted[]){{"a", ON("b:service_healthy:true,c:service_started:false"), NULL},
                                  {"b", ON("c"), NULL},
                                  {"c", NULL, NULL}},
          3, "c b a ");
    order((const struct wanted[]){{"a", NULL, "\"NetworkMode\":\"container:" B "\""}, {"b", NULL, NULL}}, 2, "b a ");
    order((const struct wanted[]){{"a", NULL, "\"NetworkMode\":\"container:b\""}, {"b", NULL, NULL}}, 2, "b a ");
    order((const struct wanted[]){{"a", NULL, "\"PidMode\":\"container:b\""},
                                  {"b", NULL, "\"IpcMode\":\"container:c\""},
                                  {"c", NULL, NULL}},
          3, "c b a ");
    order((const struct wanted[]){{"a", NULL, "\"Links\":[\"/b:/a/x\"]"}, {"b", NULL, NULL}}, 2, "b a ");
    /* What is not among them, or nonsense, orders nothing. */
    order((const struct wanted[]){{"a", ON("x,,:,::"), "\"Links\":[17,\"\",\"/\"]"}, {"b", NULL, "\"Links\":{}"}}, 2,
          "a b ");
}

static void test_rings(void **state)
{
    (void)state;
    order((const struct wanted[]){{"a", ON("a"), NULL}}, 1, "a ");
    order((const struct wanted[]){{"a", ON("b"), NULL}, {"b", ON("a"), NULL}}, 2, "b a ");
    order((const struct wanted[]){{"a", ON("b"), NULL}, {"b", ON("c"), NULL}, {"c", ON("a"), NULL}}, 3, "c b a ");
    order((const struct wanted[]){{"a", ON("b"), NULL}, {"b", ON("a,c"), NULL}, {"c", NULL, NULL}}, 3, "c b a ");
    struct containers none = {.items = NULL};
    struct cofre_error error = {.struct_size = sizeof error};
    assert_int_equal(containers_order(&none, &error), COFRE_OK);
}

/* ---- doing ---- */

typedef int32_t act(struct daemon *, struct cofre_call *, const struct container *, struct cofre_error *);

static int32_t stop_in_3(struct daemon *d, struct cofre_call *c, const struct container *container,
                         struct cofre_error *e)
{
    return container_stop(d, c, container, 3, e);
}

static int32_t stop_in_its_own(struct daemon *d, struct cofre_call *c, const struct container *container,
                               struct cofre_error *e)
{
    return container_stop(d, c, container, -1, e);
}

static void test_acts(void **state)
{
    (void)state;
    static const struct {
        act *act;
        const char *line;
        int status;
        const char *now; /* its state, when somebody looks again */
        int32_t class;
    } rows[] = {
        {container_start, "POST /v1.41/containers/" ID "/start HTTP", 204, "running", COFRE_OK},
        {container_start, "POST /v1.41/containers/" ID "/start HTTP", 304, "running", COFRE_OK},
        {container_start, "POST /v1.41/containers/" ID "/start HTTP", 500, "exited", COFRE_E_PERMANENT},
        {container_start, "POST /v1.41/containers/" ID "/start HTTP", 404, "running", COFRE_E_NOT_FOUND},
        {stop_in_3, "POST /v1.41/containers/" ID "/stop?t=3 HTTP", 204, "exited", COFRE_OK},
        {stop_in_its_own, "POST /v1.41/containers/" ID "/stop HTTP", 304, "exited", COFRE_OK},
        {stop_in_3, "POST /v1.41/containers/" ID "/stop?t=3 HTTP", 500, "running", COFRE_E_PERMANENT},
        {container_pause, "POST /v1.41/containers/" ID "/pause HTTP", 204, "paused", COFRE_OK},
        {container_pause, "POST /v1.41/containers/" ID "/pause HTTP", 409, "paused", COFRE_OK},
        {container_pause, "POST /v1.41/containers/" ID "/pause HTTP", 409, "exited", COFRE_E_PERMANENT},
        {container_unpause, "POST /v1.41/containers/" ID "/unpause HTTP", 500, "running", COFRE_OK},
        {container_unpause, "POST /v1.41/containers/" ID "/unpause HTTP", 500, "paused", COFRE_E_PERMANENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct container c = {.id = ID, .name = "db"};
        const struct server_rule rules[] = {
            {.begins = rows[i].line,
             .answer = rows[i].status < 400
                           ? rows[i].status == 204 ? "HTTP/1.1 204 x\r\n\r\n" : "HTTP/1.1 304 x\r\n\r\n"
                           : server_json(rows[i].status, "{\"message\":\"it is so\"}")},
            {.begins = "GET /v1.41/containers/" ID "/json ", .answer = one(ID, "db", rows[i].now, "", "")},
            {.begins = NULL}};
        struct cofre_error error = {.struct_size = sizeof error};
        struct server *server = server_start(rules, &call);
        struct daemon *daemon = server_daemon(server, 0);
        if (rows[i].act(daemon, &call, &c, &error) != rows[i].class)
            fail_msg("row %zu: %s", i, error.message);
        if (rows[i].class != COFRE_OK)
            assert_non_null(strstr(error.message, " container 'db': docker at"));
        assert_int_equal(server_count(server, "POST "), 1);
        daemon_close(daemon);
        server_stop(server);
    }
}

/* Stopping takes as long as it was given, on top of the daemon's own patience. */
static void answer_late(int fd, void *context)
{
    (void)context;
    usleep(1200000);
    server_write(fd, "HTTP/1.1 204 x\r\n\r\n", 18);
}

static void test_stop_takes_its_time(void **state)
{
    (void)state;
    const struct server_rule rules[] = {{.begins = "POST ", .handle = answer_late}, {.begins = NULL}};
    const struct container c = {.id = ID, .name = "db"};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 300);
    assert_int_equal(container_stop(daemon, &call, &c, 60, &error), COFRE_OK);
    assert_int_equal(container_stop(daemon, &call, &c, 0, &error), COFRE_E_TIMEOUT);
    daemon_close(daemon);
    server_stop(server);
}

static void test_digest(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int32_t class;
        const char *digest;
    } rows[] = {
        {200, "{\"RepoDigests\":[\"a/b@sha256:1\",\"c@sha256:2\"]}", COFRE_OK, "sha256:1"},
        {200, "{\"RepoDigests\":[]}", COFRE_OK, "sha256:own"},
        {200, "{\"RepoDigests\":null}", COFRE_OK, "sha256:own"},
        {200, "{\"RepoDigests\":[17,\"a\",\"a@\",\"b@sha256:3\"]}", COFRE_OK, "sha256:3"},
        {200, "[]", COFRE_OK, "sha256:own"},
        {404, "{\"message\":\"gone\"}", COFRE_OK, "sha256:own"},
        {500, "{\"message\":\"no\"}", COFRE_E_PERMANENT, "sha256:own"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct container c = {.id = ID, .name = "db", .image_id = "sha256:own"};
        const struct server_rule rules[] = {{.begins = "GET /v1.41/images/sha256%3Aown/json ",
                                             .answer = server_json(rows[i].status, "%s", rows[i].body)},
                                            {.begins = NULL}};
        struct cofre_error error = {.struct_size = sizeof error};
        struct server *server = server_start(rules, &call);
        struct daemon *daemon = server_daemon(server, 0);
        char digest[CONTAINER_DIGEST_MAX];
        assert_int_equal(container_digest(daemon, &call, &c, digest, &error), rows[i].class);
        assert_string_equal(digest, rows[i].digest);
        daemon_close(daemon);
        server_stop(server);
    }
}

/* A process that is no container's is not entered, whatever the daemon says; nor is one of another machine. */
static void test_network(void **state)
{
    (void)state;
    const struct server_rule rules[] = {{.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call), *remote = server_start_tcp(rules, &call);
    struct daemon *daemon = server_daemon(server, 0), *other = server_daemon(remote, 0);
    struct container c = {.id = ID, .name = "db", .pid = getpid()};
    assert_int_equal(container_enter_network(daemon, &c, &error), COFRE_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "enter the network of container 'db'"));
    assert_int_equal(container_enter_network(other, &c, &error), COFRE_E_UNSUPPORTED);
    c.pid = 0;
    assert_int_equal(container_enter_network(daemon, &c, &error), COFRE_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "does not run"));
    daemon_close(daemon);
    daemon_close(other);
    server_stop(server);
    server_stop(remote);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inspect, begin, end),
        cmocka_unit_test_setup_teardown(test_states, begin, end),
        cmocka_unit_test_setup_teardown(test_lies, begin, end),
        cmocka_unit_test_setup_teardown(test_list, begin, end),
        cmocka_unit_test_setup_teardown(test_lying_lists, begin, end),
        cmocka_unit_test_setup_teardown(test_find, begin, end),
        cmocka_unit_test_setup_teardown(test_order, begin, end),
        cmocka_unit_test_setup_teardown(test_rings, begin, end),
        cmocka_unit_test_setup_teardown(test_acts, begin, end),
        cmocka_unit_test_setup_teardown(test_stop_takes_its_time, begin, end),
        cmocka_unit_test_setup_teardown(test_digest, begin, end),
        cmocka_unit_test_setup_teardown(test_network, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
