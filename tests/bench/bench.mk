# The tools of the bench, with the flags of the project: make -f tests/bench/bench.mk bench-tools
include Makefile

TOOLS := $(addprefix build/bench/,load target relay)

.PHONY: bench-tools
bench-tools: $(TOOLS)

build/bench/load: tests/bench/load.c tests/bench/client.c tests/bench/wire.c tests/bench/cpu.c
build/bench/load: tests/bench/client.h tests/bench/wire.h tests/bench/cpu.h
build/bench/load: TOOL_LIBS := -lssl -lcrypto
build/bench/target: tests/bench/target.c
build/bench/relay: tests/bench/relay.c

$(TOOLS): tests/bench/bench.mk Makefile
	@mkdir -p $(@D)
	@echo '  bench  $@'
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) $(TOOL_LIBS)
