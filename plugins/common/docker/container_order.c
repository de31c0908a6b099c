#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "common/docker/container_inside.h"
#include "common/docker/member.h"

enum mark { NEW, UNDER_WAY, PLACED };

struct order {
    struct containers *all;
    struct container *placed; /* in their order; what they hold still belongs to all->items */
    unsigned char *marks;
    size_t count;
};

static void place(struct order *order, size_t index);

/* As far as it is among them; a ring ends where it would close. */
static void place_first(struct order *order, size_t index)
{
    if (order->marks[index] == NEW)
        place(order, index);
}

static void place_named(struct order *order, const char *name, size_t length)
{
    const struct containers *all = order->all;
    for (size_t i = 0; i < all->count; i++)
        if ((strlen(all->items[i].name) == length && memcmp(all->items[i].name, name, length) == 0) ||
            (length >= 12 && strncmp(all->items[i].id, name, length) == 0))
            place_first(order, i);
}

static void place_service(struct order *order, const struct container *user, const char *service, size_t length)
{
    const struct containers *all = order->all;
    for (size_t i = 0; *user->project && i < all->count; i++)
        if (strcmp(all->items[i].project, user->project) == 0 && strlen(all->items[i].service) == length &&
            memcmp(all->items[i].service, service, length) == 0)
            place_first(order, i);
}

/* "db:service_healthy:true,cache:service_started:false" */
static void place_compose(struct order *order, const struct container *user, const char *label)
{
    while (*label) {
        size_t item = strcspn(label, ","), name = strcspn(label, ":,");
        place_service(order, user, label, name);
        label += item + (label[item] == ',');
    }
}

/* "/db:/app/alias" */
static void place_links(struct order *order, const json_t *links)
{
    struct member m = {.wrong = NULL};
    for (size_t i = 0; i < json_array_size(links); i++) {
        const char *link = member_item(&m, links, i, "Links");
        if (!link)
            continue;
        link += link[0] == '/';
        place_named(order, link, strcspn(link, ":"));
    }
}

/* "container:ID" */
static void place_shared(struct order *order, const char *mode)
{
    static const char begins[] = "container:";
    if (strncmp(mode, begins, sizeof begins - 1) == 0)
        place_named(order, mode + sizeof begins - 1, strlen(mode + sizeof begins - 1));
}

static void place(struct order *order, size_t index)
{
    struct member m = {.wrong = NULL};
    const struct container *user = &order->all->items[index];
    const json_t *host = member_object(&m, user->json, "HostConfig");
    const json_t *labels = member_object(&m, member_object(&m, user->json, "Config"), "Labels");
    order->marks[index] = UNDER_WAY;
    place_compose(order, user, member_text(&m, labels, "com.docker.compose.depends_on", ""));
    place_shared(order, user->network_mode);
    place_shared(order, member_text(&m, host, "IpcMode", ""));
    place_shared(order, member_text(&m, host, "PidMode", ""));
    place_links(order, member_array(&m, host, "Links"));
    order->marks[index] = PLACED;
    order->placed[order->count++] = *user;
}

static int by_name(const void *a, const void *b)
{
    const struct container *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int32_t containers_order(struct containers *containers, struct cofre_error *error)
{
    if (containers->count == 0)
        return COFRE_OK;
    struct order order = {.all = containers,
                          .placed = calloc(containers->count, sizeof *order.placed),
                          .marks = calloc(containers->count, sizeof *order.marks)};
    if (!order.placed || !order.marks) {
        free(order.placed);
        free(order.marks);
        return cofre_fail(error, COFRE_E_MEMORY, "put containers into order: out of memory");
    }
    qsort(containers->items, containers->count, sizeof *containers->items, by_name);
    for (size_t i = 0; i < containers->count; i++)
        place_first(&order, i);
    free(order.marks);
    free(containers->items);
    containers->items = order.placed;
    return COFRE_OK;
}
