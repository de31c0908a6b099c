/* Volumes as a daemon describes them, also one that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/docker/volume.h"
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

static void test_names(void **state)
{
    (void)state;
    char longest[VOLUME_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[VOLUME_NAME_MAX + 1] = '\0';
    assert_false(volume_is_name(longest));
    longest[VOLUME_NAME_MAX] = '\0';
    assert_true(volume_is_name(longest));
    assert_true(volume_is_name("a.b-c_d"));
    assert_true(volume_is_name("-"));
    assert_false(volume_is_name(""));
    assert_false(volume_is_name(".a"));
    assert_false(volume_is_name(".."));
    assert_false(volume_is_name("a/b"));
    assert_false(volume_is_name("/"));
}

static int32_t list(const char *text, struct volumes *volumes, struct cofre_error *error)
{
    const struct server_rule rules[] = {{.begins = "GET /v1.41/volumes ", .answer = server_json(200, "%s", text)},
                                        {.begins = NULL}};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    *error = (struct cofre_error){.struct_size = sizeof *error};
    int32_t class = volumes_list(daemon, &call, volumes, error);
    daemon_close(daemon);
    server_stop(server);
    return class;
}

static void test_list(void **state)
{
    (void)state;
    struct cofre_error error;
    struct volumes all;
    assert_int_equal(
        list("{\"Volumes\":["
             "{\"Name\":\"b\",\"Driver\":\"local\",\"Mountpoint\":\"/m\",\"Labels\":null,\"Options\":null},"
             "{\"Name\":\"a-\",\"Driver\":\"local\",\"Options\":{\"type\":\"nfs\"}},"
             "{\"Name\":\"a\",\"Driver\":\"other\",\"Labels\":{\"com.docker.compose.project\":\"p\"}},"
             "{\"Name\":\"b\",\"Driver\":\"local\"},"
             "{\"Name\":\"B\",\"Driver\":\"local\",\"Options\":{}}]}",
             &all, &error),
        COFRE_OK);
    static const struct {
        const char *name, *mountpoint, *project;
        bool plain;
    } rows[] = {{"B", "", "", true}, {"a", "", "p", false}, {"a-", "", "", false}, {"b", "/m", "", true}};
    assert_int_equal(all.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(all.items[i].name, rows[i].name);
        assert_string_equal(all.items[i].project, rows[i].project);
        assert_true(all.items[i].plain == rows[i].plain);
    }
    volumes_free(&all);
    volumes_free(&all);
    assert_int_equal(list("{\"Volumes\":null}", &all, &error), COFRE_OK);
    assert_int_equal(all.count, 0);
    volumes_free(&all);
}

static void test_lies(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[]",
        "",
        "{\"Volumes\":17}",
        "{\"Volumes\":{}}",
        "{\"Volumes\":[17]}",
        "{\"Volumes\":[null]}",
        "{\"Volumes\":[{}]}",
        "{\"Volumes\":[{\"Name\":\"../../etc\",\"Driver\":\"local\"}]}",
        "{\"Volumes\":[{\"Name\":\".docker\",\"Driver\":\"local\"}]}",
        "{\"Volumes\":[{\"Name\":\"\",\"Driver\":\"local\"}]}",
        "{\"Volumes\":[{\"Name\":17,\"Driver\":\"local\"}]}",
        "{\"Volumes\":[{\"Name\":\"a\",\"Driver\":[]}]}",
        "{\"Volumes\":[{\"Name\":\"a\",\"Driver\":\"local\",\"Options\":[\"x\"]}]}",
        "{\"Volumes\":[{\"Name\":\"a\",\"Driver\":\"local\",\"Labels\":\"x\"}]}",
        "{\"Volumes\":[{\"Name\":\"a\",\"Driver\":\"local\",\"Labels\":{\"com.docker.compose.project\":1}}]}",
        "{\"Volumes\":[{\"Name\":\"a\",\"Driver\":\"local\",\"Mountpoint\":{}}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cofre_error error;
        struct volumes all;
        if (list(texts[i], &all, &error) != COFRE_E_INTEGRITY)
            fail_msg("'%s' was taken", texts[i]);
        assert_int_equal(all.count, 0);
        volumes_free(&all);
    }
}

static void test_make(void **state)
{
    (void)state;
    const struct server_rule rules[] = {
        {.begins = "GET /v1.41/volumes/there ",
         .answer = server_json(200, "{\"Name\":\"there\",\"Driver\":\"local\"}")},
        {.begins = "GET /v1.41/volumes/new ", .answer = server_json(404, "{\"message\":\"no such volume\"}")},
        {.begins = "GET /v1.41/volumes/odd ", .answer = server_json(404, "{\"message\":\"no such volume\"}")},
        {.begins = "POST /v1.41/volumes/create ",
         .answer = server_json(201, "{\"Name\":\"new\",\"Driver\":\"local\"}")},
        {.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    struct volume volume;
    json_t *description =
        json_loads("{\"Name\":\"was\",\"Driver\":\"local\",\"Options\":{\"o\":\"1\"},\"Labels\":{\"l\":\"2\"},"
                   "\"Mountpoint\":\"/x\",\"Scope\":\"local\"}",
                   0, NULL);
    assert_int_equal(volume_make(daemon, &call, "there", description, &volume, &error), COFRE_E_EXISTS);
    assert_int_equal(server_count(server, "POST "), 0);
    assert_int_equal(volume_make(daemon, &call, "new", description, &volume, &error), COFRE_OK);
    assert_string_equal(volume.name, "new");
    json_t *sent = json_loads(strstr(server_last(server, "POST "), "\r\n\r\n") + 4, 0, NULL);
    json_t *wanted = json_loads(
        "{\"Name\":\"new\",\"Driver\":\"local\",\"DriverOpts\":{\"o\":\"1\"},\"Labels\":{\"l\":\"2\"}}", 0, NULL);
    assert_true(json_equal(sent, wanted));
    json_decref(sent);
    json_decref(wanted);
    volume_free(&volume);
    /* It gives another one than it was asked for. */
    assert_int_equal(volume_make(daemon, &call, "odd", description, &volume, &error), COFRE_E_INTEGRITY);
    assert_int_equal(volume_make(daemon, &call, "../x", description, &volume, &error), COFRE_E_CONFIG);
    json_decref(description);
    daemon_close(daemon);
    server_stop(server);
}

static void test_remove(void **state)
{
    (void)state;
    const struct server_rule rules[] = {
        {.begins = "DELETE /v1.41/volumes/a ", .answer = "HTTP/1.1 204 No Content\r\n\r\n"},
        {.begins = "DELETE /v1.41/volumes/used ", .answer = server_json(409, "{\"message\":\"volume is in use\"}")},
        {.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call);
    struct daemon *daemon = server_daemon(server, 0);
    assert_int_equal(volume_remove(daemon, &call, "a", &error), COFRE_OK);
    assert_int_equal(volume_remove(daemon, &call, "absent", &error), COFRE_OK);
    assert_int_equal(volume_remove(daemon, &call, "used", &error), COFRE_E_PERMANENT);
    assert_string_equal(error.code, "409");
    assert_non_null(strstr(error.message, "remove volume 'used': "));
    daemon_close(daemon);
    server_stop(server);
}

/* The server of this test listens in this process, which sees the same files. */
static void test_open(void **state)
{
    (void)state;
    const struct server_rule rules[] = {{.begins = NULL}};
    struct cofre_error error = {.struct_size = sizeof error};
    struct server *server = server_start(rules, &call), *remote = server_start_tcp(rules, &call);
    struct daemon *daemon = server_daemon(server, 0), *other = server_daemon(remote, 0);
    char directory[] = "/tmp/docker-volume-XXXXXX", link[80];
    struct stat ours, opened;
    int fd;
    assert_non_null(mkdtemp(directory));
    snprintf(link, sizeof link, "%s/link", directory);
    assert_int_equal(symlink("/", link), 0);
    struct volume volume = {.name = "v", .driver = "local", .mountpoint = directory, .plain = true};
    assert_int_equal(volume_open(daemon, &volume, &fd, &error), COFRE_OK);
    assert_true(fstat(fd, &opened) == 0 && stat(directory, &ours) == 0 && opened.st_ino == ours.st_ino);
    close(fd);
    assert_int_equal(volume_open(other, &volume, &fd, &error), COFRE_E_UNSUPPORTED);
    assert_int_equal(fd, -1);
    volume.plain = false;
    assert_int_equal(volume_open(daemon, &volume, &fd, &error), COFRE_E_UNSUPPORTED);
    volume.plain = true;
    static const char *const places[] = {"", "relative", "/no/such/place", "/tmp/../etc"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        volume.mountpoint = places[i];
        assert_int_equal(volume_open(daemon, &volume, &fd, &error), COFRE_E_UNSUPPORTED);
    }
    volume.mountpoint = link;
    assert_int_equal(volume_open(daemon, &volume, &fd, &error), COFRE_E_UNSUPPORTED);
    /* Nobody listens any more who could be asked. */
    volume.mountpoint = directory;
    server_stop(server);
    assert_int_equal(volume_open(daemon, &volume, &fd, &error), COFRE_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "may be another one"));
    daemon_close(daemon);
    daemon_close(other);
    server_stop(remote);
    unlink(link);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, begin, end),
        cmocka_unit_test_setup_teardown(test_list, begin, end),
        cmocka_unit_test_setup_teardown(test_lies, begin, end),
        cmocka_unit_test_setup_teardown(test_make, begin, end),
        cmocka_unit_test_setup_teardown(test_remove, begin, end),
        cmocka_unit_test_setup_teardown(test_open, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
