mod alarms;
mod budget;
mod dice;
mod false_pages;
mod latencies;
mod releases;
