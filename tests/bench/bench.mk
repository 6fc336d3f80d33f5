# The tools of the bench, with the flags of the project: make -f tests/bench/bench.mk bench-tools
include Makefile

TOOLS := $(addprefix build/bench/,load target relay topics fanout)

.PHONY: bench-tools
bench-tools: $(TOOLS)

LOAD := load swarm client session over_ws over_sse over_poll uplink feed eventstream http link frames wire \
	lines traffic cpu
TOPICS := topics audience publisher poll_answer packets client wire traffic cpu

build/bench/load: $(LOAD:%=tests/bench/%.c) $(wildcard tests/bench/*.h) include/base/list.h
build/bench/load build/bench/topics: TOOL_LIBS := -lssl -lcrypto
build/bench/target: tests/bench/target.c tests/bench/lines.c tests/bench/lines.h
build/bench/relay: tests/bench/relay.c
build/bench/topics: $(TOPICS:%=tests/bench/%.c) $(wildcard tests/bench/*.h) include/base/list.h
build/bench/fanout: tests/bench/fanout.c

$(TOOLS): tests/bench/bench.mk Makefile
	@mkdir -p $(@D)
	@echo '  bench  $@'
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) $(TOOL_LIBS)
