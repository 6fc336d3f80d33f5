/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/map_table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/map_file.h"
#include "event/loop.h"

/* The kernel's clock for times of files has ticks of up to 10 ms: what is written twice within one
 * looks like once. So what was read this soon after it was written is read once more. */
#define SETTLE 0.05

/* What tells one state of the file from another. */
struct identity {
    int error; /* why there is none; 0: there is one */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

struct map_table {
    pthread_mutex_t lock; /* guards all that changes: file to asked */
    struct conf_map_file *file;
    struct identity seen; /* when it was read last, well or not */
    bool settled;         /* not to be read again before it changes */
    double looked;        /* by stat() */
    struct list waiting;  /* lookups, for the file to be read */
    bool asked;           /* the message is on its way to main */
    struct loop_message message;
    struct loop *main_loop; /* where to; of no use unless asked */
    unsigned references;    /* atomic */
    char *path;             /* behind route, in one allocation */
    char route[];
};

struct map_lookup {
    struct loop_message message;
    struct list link; /* of table->waiting, or of those whose turn is now */
    bool listed;      /* guarded by the table's lock; otherwise the message is on its way */
    bool cancelled;
    struct map_table *table;
    struct map_lookup_owner *owner;
    struct loop *loop;
    char token[];
};

/* ---- the file ---- */

static void
take_identity(struct identity *identity, int result, const struct stat *st)
{
    memset(identity, 0, sizeof *identity);
    if (result != 0) {
        identity->error = errno;
        return;
    }
    identity->device = st->st_dev;
    identity->inode = st->st_ino;
    identity->size = st->st_size;
    identity->modified = st->st_mtim;
    identity->changed = st->st_ctim;
}

static bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same_identity(const struct identity *a, const struct identity *b)
{
    return a->error == b->error && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && same_time(a->modified, b->modified) &&
           same_time(a->changed, b->changed);
}

static bool
is_settled(const struct identity *identity)
{
    struct timespec now;
    double age;

    clock_gettime(CLOCK_REALTIME, &now);
    age = (double)(now.tv_sec - identity->changed.tv_sec) +
          (double)(now.tv_nsec - identity->changed.tv_nsec) / 1e9;
    return identity->error != 0 || fabs(age) > SETTLE;
}

/* Not more than it had when it was opened: what is added meanwhile is another change. */
static char *
read_text(int fd, size_t *len, struct conf_report *report)
{
    size_t size = *len;
    char *text = malloc(size + 1);
    ssize_t n = 1;

    if (text == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    for (*len = 0; *len < size && n > 0; *len += (size_t)n) {
        n = read(fd, text + *len, size - *len);
        if (n < 0) {
            conf_report_add(report, 0, "cannot be read: %s", strerror(errno));
            free(text);
            return NULL;
        }
    }
    return text;
}

static struct conf_map_file *
parse_fd(int fd, size_t size, struct conf_report *report)
{
    struct conf_map_file *file;
    char *text = read_text(fd, &size, report);

    if (text == NULL)
        return NULL;
    file = conf_map_file_parse(text, size, report);
    free(text);
    return file;
}

static struct conf_map_file *
read_file(const char *path, struct identity *identity, struct conf_report *report)
{
    /* Not to be held up by a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct conf_map_file *file = NULL;
    struct stat st;

    take_identity(identity, fd < 0 ? -1 : fstat(fd, &st), &st);
    if (identity->error != 0)
        conf_report_add(report, 0, "cannot be opened: %s", strerror(identity->error));
    else if (!S_ISREG(st.st_mode))
        conf_report_add(report, 0, "not a regular file");
    else if (st.st_size > CONF_MAP_FILE_SIZE_MAX)
        conf_report_add(report, 0, "larger than %d MiB", CONF_MAP_FILE_SIZE_MAX >> 20);
    else
        file = parse_fd(fd, (size_t)st.st_size, report);
    if (fd >= 0)
        close(fd);
    return file;
}

/* ---- reading it again, on main ---- */

static void
tell(const struct map_table *table, struct log *log, const struct conf_map_file *file,
     const struct conf_report *report)
{
    if (file != NULL)
        log_info(log, "map", "route %s: %s: %zu targets", table->route, table->path,
                 conf_map_file_count(file));
    else if (report->n_mistakes == 0)
        log_warn(log, "map", "route %s: %s: the targets of before stay: out of memory",
                 table->route, table->path);
    else
        log_warn(log, "map", "route %s: the targets of before stay: %s:%u: %s%s", table->route,
                 table->path, report->mistakes[0].line, report->mistakes[0].text,
                 report->n_mistakes > 1 ? ", and more" : "");
}

static bool
must_read(struct map_table *table)
{
    struct identity now;
    struct stat st;
    bool changed;

    take_identity(&now, stat(table->path, &st), &st);
    pthread_mutex_lock(&table->lock);
    changed = !table->settled || !same_identity(&now, &table->seen);
    pthread_mutex_unlock(&table->lock);
    return changed;
}

/* Whether there is nothing new to be learnt until the file changes. What has no line is of the
 * moment, such as a lack of memory, and is tried again at the next look. */
static bool
is_final(const struct conf_map_file *file, const struct conf_report *report)
{
    return file != NULL || (report->n_mistakes > 0 && report->mistakes[0].line > 0);
}

static void
read_again(struct map_table *table, struct log *log)
{
    struct conf_report report;
    struct identity identity;
    struct conf_map_file *file;
    struct conf_map_file *old = NULL;
    bool news;

    conf_report_init(&report, table->path);
    file = read_file(table->path, &identity, &report);
    pthread_mutex_lock(&table->lock);
    news = !same_identity(&identity, &table->seen);
    table->seen = identity;
    table->settled = is_settled(&identity) && is_final(file, &report);
    if (file != NULL) {
        old = table->file;
        table->file = file;
    }
    pthread_mutex_unlock(&table->lock);
    conf_map_file_free(old);
    if (news)
        tell(table, log, file, &report);
    conf_report_deinit(&report);
}

/* Those who asked before the file was read now; who asks later has it read once more. */
static void
take_waiting(struct map_table *table, struct list *taken, struct log **log)
{
    pthread_mutex_lock(&table->lock);
    *log = loop_log(table->main_loop);
    table->asked = false;
    while (!list_empty(&table->waiting)) {
        struct list *first = table->waiting.next;

        list_remove(first);
        list_add(taken, first);
    }
    pthread_mutex_unlock(&table->lock);
}

static void
post_answers(struct map_table *table, struct list *taken)
{
    /* A worker may cancel one of them at any time, so each is taken off under the lock, and posted
     * under it: after that it is its worker's. */
    pthread_mutex_lock(&table->lock);
    while (!list_empty(taken)) {
        struct map_lookup *lookup = container_of(taken->next, struct map_lookup, link);

        list_remove(&lookup->link);
        lookup->listed = false;
        loop_post(lookup->loop, &lookup->message);
    }
    pthread_mutex_unlock(&table->lock);
}

static void
deliver_question(struct loop_message *message)
{
    struct map_table *table = container_of(message, struct map_table, message);
    struct list taken;
    struct log *log;

    list_init(&taken);
    take_waiting(table, &taken, &log);
    if (must_read(table))
        read_again(table, log);
    post_answers(table, &taken);
    map_table_unref(table);
}

/* ---- lookups ---- */

static void
deliver_answer(struct loop_message *message)
{
    struct map_lookup *lookup = container_of(message, struct map_lookup, message);
    struct map_table *table = lookup->table;
    struct conf_target *target = NULL;
    int found;

    if (!lookup->cancelled) {
        pthread_mutex_lock(&table->lock);
        found = conf_map_file_find(table->file, lookup->token, &target);
        pthread_mutex_unlock(&table->lock);
        lookup->owner->call(lookup->owner,
                            found > 0    ? MAP_LOOKUP_FOUND
                            : found == 0 ? MAP_LOOKUP_UNKNOWN
                                         : MAP_LOOKUP_FAILED,
                            target);
    }
    free(lookup);
}

/* Whether it is time to look at the file. */
static bool
is_due(struct map_table *table, const char *token, double now)
{
    bool due;

    pthread_mutex_lock(&table->lock);
    due = now - table->looked >= MAP_TABLE_LOOK || !conf_map_file_has(table->file, token);
    if (due)
        table->looked = now;
    pthread_mutex_unlock(&table->lock);
    return due;
}

static void
wait_for_reading(struct map_table *table, struct map_lookup *lookup, struct loop *main_loop)
{
    pthread_mutex_lock(&table->lock);
    lookup->listed = true;
    list_add(&table->waiting, &lookup->link);
    if (!table->asked) {
        table->asked = true;
        table->main_loop = main_loop;
        table->message.deliver = deliver_question;
        __atomic_add_fetch(&table->references, 1, __ATOMIC_RELAXED);
        loop_post(main_loop, &table->message);
    }
    pthread_mutex_unlock(&table->lock);
}

struct map_lookup *
map_lookup_start(struct map_table *table, const struct map_lookup_options *options,
                 struct map_lookup_owner *owner)
{
    size_t size = strlen(options->token) + 1;
    struct map_lookup *lookup = calloc(1, sizeof *lookup + size);

    if (lookup == NULL)
        return NULL;
    memcpy(lookup->token, options->token, size);
    lookup->message.deliver = deliver_answer;
    lookup->table = table;
    lookup->owner = owner;
    lookup->loop = options->loop;
    list_init(&lookup->link);
    if (is_due(table, lookup->token, loop_now(options->loop)) && must_read(table))
        wait_for_reading(table, lookup, options->main_loop);
    else
        loop_post(options->loop, &lookup->message);
    return lookup;
}

void
map_lookup_cancel(struct map_lookup *lookup)
{
    struct map_table *table;
    bool listed;

    if (lookup == NULL)
        return;
    table = lookup->table;
    pthread_mutex_lock(&table->lock);
    listed = lookup->listed;
    if (listed)
        list_remove(&lookup->link);
    pthread_mutex_unlock(&table->lock);
    lookup->cancelled = true;
    if (listed)
        free(lookup);
}

/* ---- lifetime ---- */

struct map_table *
map_table_new(const char *route, const char *path, struct conf_report *report)
{
    size_t route_size = strlen(route) + 1;
    size_t path_size = strlen(path) + 1;
    struct map_table *table = calloc(1, sizeof *table + route_size + path_size);

    if (table == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&table->lock, NULL);
    table->references = 1;
    list_init(&table->waiting);
    memcpy(table->route, route, route_size);
    table->path = table->route + route_size;
    memcpy(table->path, path, path_size);
    table->file = read_file(path, &table->seen, report);
    table->settled = is_settled(&table->seen);
    if (table->file != NULL)
        return table;
    map_table_unref(table);
    return NULL;
}

void
map_table_unref(struct map_table *table)
{
    if (table == NULL || __atomic_sub_fetch(&table->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    pthread_mutex_destroy(&table->lock);
    conf_map_file_free(table->file);
    free(table);
}
