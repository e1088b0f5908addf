"""Each equation of a paper has its line, and the line says its number.

A row: the paper, the equation (or the figure's part, where the text was not at
hand), the file, and a pattern of the line that computes it. EnVLF's abstract
gives no equation; CFITR's are those of the released code.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "rsir"
AMFMN, GALR = "models/amfmn.py", "models/galr.py"
TEXT, LOSSES = "encoders/text.py", "models/losses.py"
ENVLF, CFITR = "models/envlf.py", "models/cfitr.py"
RERANK, STAGES = "retrieval/rerank.py", "retrieval/two_stage.py"

EQUATIONS = [
    ("AMFMN", "(4)", AMFMN, r"return cosine\(image\[\"v\"\].*# \(4\)"),
    ("AMFMN", "(5)", AMFMN, r"v = self\.project\(.*# \(5\)"),
    ("AMFMN", "(6)", AMFMN, r"up2\(f2\), up2\(f4\).*# \(6\)"),
    ("AMFMN", "(7)", AMFMN, r"up2\(f2\), up2\(f4\).*\(7\)"),
    ("AMFMN", "(8)", AMFMN, r"v_l = torch\.cat\(\[f1, f2\], 1\).*# \(8\)"),
    ("AMFMN", "(9)", AMFMN, r"v_h = torch\.cat\(\[f3, f4\], 1\).*# \(9\)"),
    ("AMFMN", "(10)", TEXT, r"words = self\.dropout\(self\.embedding\(ids\)\)"),
    ("AMFMN", "(11)", TEXT, r"tokens = \(forth \+ back\) / 2.*\(11\)"),
    ("AMFMN", "(12)", TEXT, r"masked_mean\(tokens, mask\)\).*\(12\)"),
    ("AMFMN", "(13)", AMFMN, r"k = self\.to_keywords\(.*# \(13\)"),
    ("AMFMN", "(14)", AMFMN, r"low = self\.prelu_low\(low\).*# \(14\)"),
    ("AMFMN", "(15)", AMFMN, r"high = self\.prelu_high\(high\).*# \(15\)"),
    ("AMFMN", "(16)", AMFMN, r"v_lh = .* \+ mean.*# \(16\)"),
    ("AMFMN", "(17)", AMFMN, r"v_i = self\.main\(unit\).*# \(17\)"),
    ("AMFMN", "(18)", AMFMN, r"v_w = torch\.sigmoid\(self\.gate\(unit\)\).*# \(18\)"),
    ("AMFMN", "(19)", AMFMN, r"return v_i \* v_w.*# \(19\)"),
    ("AMFMN", "(20)", AMFMN, r"image\[\"gate\"\].* \* text.*# \(20\)"),
    ("AMFMN", "(21)", AMFMN, r"one = .*# \(21\)"),
    ("AMFMN", "(22)", AMFMN, r"one \* torch\.sigmoid\(two\).*# \(22\)"),
    ("AMFMN", "(23)", AMFMN, r"self\.visual\(v\).*# \(23\)"),
    ("AMFMN", "(24)", AMFMN, r"self\.text\(t\).*# \(24\)"),
    ("AMFMN", "(25)", AMFMN, r"torch\.sigmoid\(F\.cosine_similarity\(.*# \(25\)"),
    ("AMFMN", "(26)", AMFMN, r"w = torch\.sigmoid\(self\.balance\(.*# \(26\)"),
    ("AMFMN", "(27)", AMFMN, r"s \* w \+ k \* \(1 - w\).*# \(27\)"),
    ("AMFMN", "(28)", LOSSES, r"captions\.sum\(\) \+ images\.sum\(\).*# \(28\)"),
    ("AMFMN", "(29)", LOSSES, r"gamma \* \(top - torch\.exp\(.*# \(29\)"),
    ("AMFMN", "(30)", LOSSES, r"captions\.amax\(1\).*# \(30\)"),
    ("GaLR", "denoised representation", GALR, r"^def groups_of\("),
    ("GaLR", "enhanced adjacency", GALR, r"boost \* salience.*# enhanced adjacency"),
    ("GaLR", "GCN 1", GALR, r"self\.fc1\(A @ X\).*# GCN 1"),
    ("GaLR", "GCN 2", GALR, r"self\.fc2\(A @ X\).*# GCN 2"),
    ("GaLR", "GCN 3", GALR, r"self\.fc3\(A @ X\).*# GCN 3"),
    ("GaLR", "GCN out", GALR, r"self\.out\(.*# GCN out"),
    ("GaLR", "global", GALR, r"F\.normalize\(v, dim=1\)  # global"),
    ("GaLR", "local", GALR, r"F\.normalize\(self\.gcn\(A, X\), dim=1\)  # local"),
    ("GaLR", "re-transformation", GALR, r"self\.g2g_SA\(g\).*re-transformation"),
    ("GaLR", "re-transformation", GALR, r"self\.l2l_SA\(loc\).*re-transformation"),
    ("GaLR", "supplement", GALR, r"self\.g2l_SGA\(loc, g\).*global supplements local"),
    ("GaLR", "correction", GALR, r"self\.l2g_SGA\(g, loc\).*corrects global"),
    ("GaLR", "g'", GALR, r"torch\.sigmoid\(loc\) \* g  # g'"),
    ("GaLR", "l'", GALR, r"l_new = g \+ loc  # l'"),
    ("GaLR", "gamma", GALR, r"dynamic_weight\(g_new \+ l_new\)\.softmax.*# gamma"),
    ("GaLR", "MIDF", GALR, r"first \* g_new \+ second \* l_new.*# MIDF"),
    ("GaLR", "visual", GALR, r"self\.midf\(g, loc\)  # visual"),
    ("GaLR", "score", GALR, r"images\[\"v\"\] @ texts\[\"t\"\]\.T  # score"),
    ("EnVLF", "vision", ENVLF, r"tokens = self\.norm\(x\)  # vision"),
    ("EnVLF", "language", ENVLF, r"\"text_tokens\": .*# language"),
    ("EnVLF", "score", ENVLF, r"images\[\"v\"\] @ texts\[\"t\"\]\.T  # cos\(v, t\)"),
    ("EnVLF", "multi-modal encoder", ENVLF, r"self\.cross\(x, tokens.*# read"),
    ("EnVLF", "match", ENVLF, r"self\.match\(read\[:, 0\]\).*# match"),
    ("EnVLF", "contrastive", ENVLF, r"loss = contrastive\(scores, .*"),
    ("EnVLF", "matching", ENVLF, r"F\.binary_cross_entropy_with_logits\("),
    ("EnVLF", "masked words", ENVLF, r"F\.cross_entropy\(logits\.float\(\), answer"),
    ("CFITR", "lower blocks", CFITR, r"x = through\(self\.lower, x\)"),
    ("CFITR", "LFEM", CFITR, r"self\.relu\(maps \+ self\.net\(maps\)\)  # LFEM"),
    ("CFITR", "pool", CFITR, r"z = self\.over\[side\]\(.*\.tanh\(\)"),
    ("CFITR", "h", CFITR, r"self\.head\[side\]\(self\.drop\(z\)\)  # h"),
    ("CFITR", "code", CFITR, r"torch\.where\(h\.detach\(\) > 0, 1\.0, -1\.0\)"),
    ("CFITR", "Hamming", CFITR, r"\(one @ other\.T - one\.shape\[1\]\) / 2"),
    ("CFITR", "L_tri", CFITR, r"triplet_loss\(scores, positive\)}  # L_tri"),
    ("CFITR", "L_quant", CFITR, r"quant\.mean\(\),  # L_quant"),
    ("CFITR", "L_bal", CFITR, r"bal\.mean\(\),  # L_bal"),
    ("CFITR", "B", CFITR, r"\(h_i \+ h_t\)\.detach\(\)\.sign\(\)"),
    ("CFITR", "SSM", CFITR, r"self\.rank\(self\.pooler\(x\)\.tanh\(\)\)"),
    ("CFITR", "L_ssm", CFITR, r"self\.ssm_loss\(.*# L_ssm"),
    ("CFITR", "PPSR", RERANK, r"^def ppsr\("),
    ("CFITR", "top M", STAGES, r"^def short_pairs\("),
]


@pytest.mark.parametrize("paper, equation, file, line", EQUATIONS)
def test_an_equation_has_its_line(paper, equation, file, line):
    found = re.findall(line, (ROOT / file).read_text(), re.M)
    assert len(found) == 1, f"{paper} {equation}: {len(found)} lines in {file}"


def test_no_number_of_amfmn_is_left_out():
    listed = [equation for paper, equation, *_ in EQUATIONS if paper == "AMFMN"]
    assert listed == [f"({n})" for n in range(4, 31)]
