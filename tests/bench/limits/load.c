/* Requests at a fixed mean rate, whatever becomes of those before: arrivals are drawn (exponential gaps), and a request's time
 * counts from its arrival, also while it waits for a connection, for PATIENCE seconds at most. A connection is made when it is
 * needed and kept.
 *
 * load PORT RATE SECONDS WARM_UP CONNECTIONS PATIENCE SOURCE HOST PATHS     on 127.0.0.1; SOURCE is the client's address; PATHS is a
 * file, a path a line, taken in turn. Prints one JSON object; times in microseconds, without those that arrived within WARM_UP
 * seconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kBuffer = 16384, kMaxWaiting = 1 << 20, kLateNs = 1000000000 };

struct connection {
  int fd;              /* -1: none */
  int busy, connecting;
  int64_t arrived;     /* of the request in work */
  int64_t body_left;   /* -1: the head is not complete */
  int status, closes;
  size_t have;
  char buffer[kBuffer];
};
struct times {
  uint32_t *us;
  size_t size, room;
};

static struct connection *connections;
static int *idle, count, idle_first, idle_size;      /* a ring */
static int64_t *waiting;                              /* arrivals without a connection, a ring */
static size_t waiting_first, waiting_size;
static char **requests;
static size_t request_count, next_request;
static struct sockaddr_in server, client;
static int poller;
static int64_t begin, measure_from, patience_ns;
static struct times ok, other;
static size_t late, failed, unsent, sent, statuses[600];

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void note(struct times *t, int64_t ns) {
  if (t->size == t->room) {
    t->room = t->room ? t->room * 2 : 1 << 16;
    t->us = realloc(t->us, t->room * sizeof *t->us);
  }
  t->us[t->size++] = (uint32_t)(ns / 1000);
}

static void done(struct connection *c, int status) {
  if (c->arrived >= measure_from) {
    int64_t took = now_ns() - c->arrived;
    if (status == 0) ++failed;
    else ++statuses[status < 600 ? status : 599];
    if (status >= 200 && status < 300) {
      note(&ok, took);
      if (took > kLateNs) ++late;
    } else if (status != 0) {
      note(&other, took);
    }
  }
  c->busy = 0;
  idle[(idle_first + idle_size++) % count] = (int)(c - connections);
}

static void drop(struct connection *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  if (c->busy) done(c, 0);
}

static void send_request(struct connection *c) {
  const char *request = requests[next_request++ % request_count];
  size_t size = strlen(request);
  if (send(c->fd, request, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) drop(c);
}

static void begin_request(struct connection *c, int64_t arrived) {
  c->busy = 1;
  c->arrived = arrived;
  c->body_left = -1;
  c->have = 0;
  c->closes = 0;
  if (arrived >= measure_from) ++sent;
  if (c->fd >= 0) {
    send_request(c);
    return;
  }
  int one = 1;
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  c->connecting = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&client, sizeof client) != 0 ||
      (connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) ||
      epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e) != 0) {
    drop(c);
  }
}

static void connected(struct connection *c) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  c->connecting = 0;
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
  send_request(c);
}

static void serve_waiting(int64_t now) {
  while (waiting_size > 0) {
    if (idle_size == 0 && now - waiting[waiting_first] < patience_ns) return;
    if (idle_size == 0) {
      if (waiting[waiting_first] >= measure_from) ++unsent;
      waiting_first = (waiting_first + 1) % kMaxWaiting;
      --waiting_size;
      continue;
    }
    struct connection *c = &connections[idle[idle_first]];
    idle_first = (idle_first + 1) % count;
    --idle_size;
    int64_t arrived = waiting[waiting_first];
    waiting_first = (waiting_first + 1) % kMaxWaiting;
    --waiting_size;
    begin_request(c, arrived);
  }
}

/* What came, as far as it goes; an answer's body is thrown away. */
static void readable(struct connection *c) {
  ssize_t n = recv(c->fd, c->buffer + c->have, kBuffer - 1 - c->have, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0 || !c->busy) {
    drop(c);
    return;
  }
  c->have += (size_t)n;
  if (c->body_left < 0) {
    c->buffer[c->have] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (end == NULL) {
      if (c->have >= kBuffer - 1) drop(c);
      return;
    }
    *end = 0;
    const char *length = strcasestr(c->buffer, "\r\ncontent-length:");
    c->status = atoi(c->buffer + 9);
    c->closes = strcasestr(c->buffer, "\r\nconnection: close") != NULL;
    if (length == NULL) {
      drop(c);
      return;
    }
    c->body_left = atoll(length + 17) - (int64_t)(c->have - (size_t)(end + 4 - c->buffer));
  } else {
    c->body_left -= n;
  }
  c->have = 0;
  if (c->body_left > 0) return;
  int status = c->status;
  if (c->closes) {
    close(c->fd);
    c->fd = -1;
  }
  done(c, status);
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *t) {
  qsort(t->us, t->size, sizeof *t->us, by_size);
  printf("\"%s\": {\"count\": %zu", name, t->size);
  if (t->size > 0) {
    printf(", \"p50\": %u, \"p99\": %u, \"max\": %u", t->us[t->size / 2], t->us[t->size - 1 - t->size / 100], t->us[t->size - 1]);
  }
  printf("}, ");
}

static void read_paths(const char *file, const char *host) {
  FILE *in = fopen(file, "r");
  char line[4096], request[8192];
  size_t room = 0;
  while (in != NULL && fgets(line, sizeof line, in) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (request_count == room) requests = realloc(requests, (room = room ? room * 2 : 64) * sizeof *requests);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n", line, host);
    requests[request_count++] = strdup(request);
  }
  if (request_count == 0) exit(2);
}

int main(int argc, char **argv) {
  if (argc != 10) return 2;
  double rate = atof(argv[2]), seconds = atof(argv[3]), warm_up = atof(argv[4]);
  count = atoi(argv[5]);
  server.sin_family = client.sin_family = AF_INET;
  server.sin_port = htons((uint16_t)atoi(argv[1]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  patience_ns = (int64_t)(atof(argv[6]) * 1e9);
  inet_pton(AF_INET, argv[7], &client.sin_addr);
  read_paths(argv[9], argv[8]);
  connections = calloc((size_t)count, sizeof *connections);
  idle = calloc((size_t)count, sizeof *idle);
  waiting = calloc(kMaxWaiting, sizeof *waiting);
  for (int i = 0; i < count; ++i) {
    connections[i].fd = -1;
    idle[idle_size++] = i;
  }
  poller = epoll_create1(0);
  prctl(PR_SET_TIMERSLACK, 1000UL);
  srand48(1);
  begin = now_ns();
  measure_from = begin + (int64_t)(warm_up * 1e9);
  int64_t end = measure_from + (int64_t)(seconds * 1e9), last = end + 5 * (int64_t)kLateNs;
  int64_t next = begin;
  struct epoll_event events[512];
  while (1) {
    int64_t now = now_ns();
    for (; next <= now && next < end; next += (int64_t)(-log(1.0 - drand48()) / rate * 1e9)) {
      if (waiting_size == kMaxWaiting) {
        if (next >= measure_from) ++unsent;
        continue;
      }
      waiting[(waiting_first + waiting_size++) % kMaxWaiting] = next;
    }
    serve_waiting(now);
    if (now >= last || (next >= end && waiting_size == 0 && idle_size == count)) break;
    int64_t until = next < end ? next : last;
    struct timespec timeout = {(until - now) / 1000000000, (until - now) % 1000000000};
    if (until <= now) timeout = (struct timespec){0, 0};
    int n = epoll_pwait2(poller, events, 512, &timeout, NULL);
    for (int i = 0; i < n; ++i) {
      struct connection *c = events[i].data.ptr;
      if (c->fd >= 0 && c->connecting && (events[i].events & EPOLLOUT) != 0 && (events[i].events & EPOLLERR) == 0) connected(c);
      else if (c->fd >= 0) readable(c);
    }
  }
  size_t unanswered = 0;
  for (int i = 0; i < count; ++i) unanswered += (size_t)connections[i].busy;
  printf("{\"seconds\": %.3f, \"sent\": %zu, \"unsent\": %zu, \"failed\": %zu, \"unanswered\": %zu, \"late\": %zu, ", seconds, sent, unsent, failed, unanswered, late);
  print_times("ok", &ok);
  print_times("other", &other);
  printf("\"statuses\": {");
  for (int i = 0, first = 1; i < 600; ++i) {
    if (statuses[i] == 0) continue;
    printf("%s\"%d\": %zu", first ? "" : ", ", i, statuses[i]);
    first = 0;
  }
  printf("}}\n");
  return 0;
}
